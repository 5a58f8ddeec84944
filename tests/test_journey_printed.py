"""The README's journey, a command at a time, comes true in a fresh folder with the commands' own defaults."""

import json
import re
import shlex
from pathlib import Path

import pytest

from stepdown.cli import main

README = Path(__file__).parents[1] / "README.md"
HEADING = "## The journey, a command at a time"


def printed() -> list[list[str]]:
    """Return the commands of the README's block."""
    block = re.search(r"```bash\n(.*?)```", README.read_text("utf-8").split(HEADING)[1], re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True)[1:] for line in block[1].splitlines()]


@pytest.mark.timeout(180)
def test_the_journey_as_printed_hands_the_role_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names, told = {}, {}
    for line in printed():
        words = [names.get(word, word) for word in line]
        assert main([*words, "--json"]) == 0, (words, capsys.readouterr())
        said = json.loads(capsys.readouterr().out)
        told[" ".join(line)] = said
        if line[0] == "export":
            names["DATASET"] = said["digest"]
        elif line[0] == "train":
            names["BUNDLE"] = said["bundle"]["id"]

    assert told["promote BUNDLE"]["outcome"] == "promote"
    assert told["run --seed 1"]["local_share"] > 0.5
