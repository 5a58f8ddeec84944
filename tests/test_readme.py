"""What the README shows of Python is what it does, and its tables of values are those of the code."""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import partial
from itertools import dropwhile, takewhile
from math import inf
from pathlib import Path

import pytest

from stepdown.errors import InvalidValue
from stepdown.routing.policy import Policy
from stepdown.training.plan import Plan
from stepdown.training.tuning import Tuning

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


def values(after: str) -> dict[str, tuple[str, str]]:
    """Return name to default and unit of the table that follows a text."""
    lines = README.read_text("utf-8").partition(after)[2].splitlines()
    table = takewhile(lambda line: line.startswith("|"), dropwhile(lambda line: not line.startswith("|"), lines))
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in table]
    return {name.strip("` "): (default, unit) for name, default, unit, what in cells[2:] if what}


def written(value: object) -> str:
    """Return a default as the README writes it."""
    if value is MISSING or value == ():
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else f"{value:.10g}" if isinstance(value, float) else str(value)


def refused(make: Callable[..., object], name: str, value: float) -> bool:
    """Tell whether a value is out of its range."""
    try:
        make(**{name: value})
    except InvalidValue as error:
        return name in str(error)
    return False


@pytest.mark.parametrize(
    ("kind", "after", "needed"),
    [
        (Policy, "The policy, changed by", {}),
        (Plan, "For a net of our own:", {}),
        (Tuning, "For a base that is tuned:", {"base": "smollm2"}),
    ],
    ids=["policy", "plan", "tuning"],
)
def test_the_readme_has_every_value_with_its_default_and_its_range(
    kind: type[Policy | Plan | Tuning], after: str, needed: dict[str, str]
) -> None:
    shown = values(after)

    assert {name: default for name, (default, _) in shown.items()} == {
        field.name: written(field.default) for field in fields(kind)
    }
    for field in fields(kind):
        unit = shown[field.name][1]
        assert (" to " in unit) == (field.type in (int, float)), field.name
        if " to " in unit:
            low, high = (float(end) for end in unit.partition(", ")[2].split(" to "))
            step = 1 if field.type is int else min(low, 1) / 1000 or 0.001
            make = partial(kind, **needed)
            number = int if field.type is int else float
            assert not refused(make, field.name, number(low)) or field.name in ("width", "layers"), field.name
            assert refused(make, field.name, number(low - step)), field.name
            assert high == inf or refused(make, field.name, number(high + (1 if field.type is int else high / 1000)))
