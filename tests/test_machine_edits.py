"""The oracle is edited in one place at a time, and somebody notices; the engine of those edits says what it did."""

import ast
from pathlib import Path

import pytest

from stepdown_machine.break_oracle import BROKEN, FAILS, FREES, SURVIVED, child, oracle, summary, survivors
from stepdown_machine.edits import Edit, edited, edits
from stepdown_machine.explained import EXPLAINED, reason
from stepdown_machine.invariants import CLAIMS

SOURCE = '''
def fit(worth: float, least: float = 0.5) -> bool:
    """Tell whether it may serve."""
    if worth < 0 and not least:
        return False
    return any(each >= least for each in (worth,) if each)
'''

SAID = [
    "constant: 0.5 -> 1.5",
    "if negated: worth < 0 and (not least) -> not (worth < 0 and (not least))",
    "and or: worth < 0 and (not least) -> worth < 0 or not least",
    "condition dropped: worth < 0 -> nothing",
    "condition dropped: not least -> nothing",
    "comparison: worth < 0 -> worth <= 0",
    "comparison: worth < 0 -> worth >= 0",
    "constant: 0 -> 1",
    "not dropped: not least -> least",
    "return negated: return False -> return not False",
    "statement deleted: return False -> nothing",
    "constant: False -> True",
    "return negated: return any((each >= least for each in (worth,) if each)) "
    "-> return not any((each >= least for each in (worth,) if each))",
    "opposite: any((each >= least for each in (worth,) if each)) -> all((each >= least for each in (worth,) if each))",
    "comparison: each >= least -> each > least",
    "comparison: each >= least -> each < least",
    "condition dropped: each -> nothing",
]


def test_every_edit_of_a_source_is_one_change_of_meaning_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(SOURCE, "utf-8")

    made = edits(tmp_path, [tmp_path / "fit.py"])

    assert [f"{each.kind}: {each.before} -> {each.after}" for each in made] == SAID
    sources = {each.source(tmp_path) for each in made}
    assert len(sources | {ast.unparse(ast.parse(SOURCE))}) == len(made) + 1
    assert "-    if worth < 0 and (not least):\n+    if worth < 0 or not least:" in made[2].diff(tmp_path)
    assert made[3].name.startswith("fit.py:4 ")
    assert {each.within for each in made} == {"fit"}


def test_there_is_no_edit_beyond_the_last() -> None:
    with pytest.raises(IndexError, match="there is no edit 17"):
        edited(SOURCE, len(SAID))


def one(path: str, said: str) -> Edit:
    """Return the first edit of a module that says this."""
    return next(edit for edit in oracle(path) if said in edit.name)


def under(edit: Edit, *variants: str) -> tuple[str, str]:
    """Run short campaigns under an edit: on the correct toy, or only on some variants."""
    told = {"path": edit.path, "number": edit.number, "examples": 12, "fewer": 12, "seed": 0}
    return child(told | {"seeds": [] if variants else [0], "variants": variants}, 120.0)


def test_an_oracle_that_says_another_contract_makes_the_correct_toy_fail() -> None:
    kind, by = under(one("model/routing", "model.coverage() >= limits.min_coverage ->"))

    assert kind == FAILS
    assert set(by.split()) <= CLAIMS.keys()


def test_an_oracle_that_looks_away_lets_a_broken_variant_go() -> None:
    blind = one("invariants/shadows", "statement deleted: yield Finding('I13', 'an unpriced local shadow'")

    assert under(blind, "shadow-priced") == (FREES, "shadow-priced")


def test_an_oracle_that_cannot_speak_is_a_broken_harness_and_noticed_by_nobody() -> None:
    kind, by = under(one("model/breaker", "condition dropped: self.opened is not None"))

    assert (kind, by) == (BROKEN, "correct: TypeError")


def test_only_what_nobody_noticed_and_nobody_explained_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third, fourth = oracle("legal_answers")[:4]
    monkeypatch.setattr("stepdown_machine.explained.EXPLAINED", {third.description: "it says the same"})
    found = {first: (FAILS, "I3"), second: (SURVIVED, ""), third: (SURVIVED, ""), fourth: (BROKEN, "TypeError")}

    assert survivors(found) == [second]
    lines = list(summary(found))
    assert lines[0] == "1 of 2 edits noticed = 50.0%"
    assert "apart: 1 explained, 1 broke the harness, 0 hung" in lines
    assert lines[-1] == f"survived  {second.name}"


def test_every_explanation_is_of_an_edit_that_can_be_made() -> None:
    assert EXPLAINED.keys() <= {edit.description for edit in oracle()}
    assert all(EXPLAINED.values())


def test_a_boundary_that_is_only_slack_is_explained_and_a_limit_is_not() -> None:
    slack = one("invariants/succession", "abs(pair.frontier - its) > SLACK -> abs(pair.frontier - its) >= SLACK")
    turned = one("invariants/succession", "abs(pair.frontier - its) > SLACK -> abs(pair.frontier - its) <= SLACK")
    limit = one("model/promotion", "valid >= limits.min_valid -> valid > limits.min_valid")

    assert [bool(reason(each)) for each in (slack, turned, limit)] == [True, False, False]
