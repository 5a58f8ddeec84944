"""Ctrl-C is answered with a sentence, however early it comes."""

import subprocess
import sys
from pathlib import Path

import pytest

STOP = """
import sys
from importlib.abc import MetaPathFinder

class Stop(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt

from stepdown.cli import main
sys.meta_path.insert(0, Stop())
sys.exit(main({arguments!r}))
"""


@pytest.mark.parametrize("name", ["stepdown.cli.outermost", "typer", "sqlalchemy", "stepdown.acts.opening"])
def test_a_stop_while_modules_load_is_a_sentence(name: str, tmp_path: Path) -> None:
    program = STOP.format(name=name, arguments=["report", "-w", str(tmp_path)])
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.startswith("stepdown: Stopped.")
    assert "Traceback" not in ended.stderr
