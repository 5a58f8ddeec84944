"""What the README shows of Python is what it does."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_lines_of_python_do_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = next(
        text for text in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL) if "live(" in text
    )
    monkeypatch.chdir(tmp_path)

    exec(block, {})

    value, served, reason, call = (
        "{'amount': 12.5, 'currency': 'EUR', 'date': '2025-03-04', 'number': 'INV-7'}",
        "frontier",
        "bundle-absent",
        "run-1/1/0/1",
    )
    assert capsys.readouterr().out == f"{value} {served} {reason} {call}\n"
    assert len(block.strip().splitlines()) <= 10
