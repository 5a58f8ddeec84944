"""Every column and every field of history, edited in several ways: an audit says so, in sentences, or nobody can know."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edits import TABLES, Edit, Forger
from journey import Hands
from lived import live
from rotation import part
from stepdown.acts.opening import open_workspace
from stepdown.errors import StepdownError
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace

README = Path(__file__).parents[1] / "README.md"

UNSEEN = {
    "who did something, and why, is said there alone": (
        "act.by act.why harness.by harness.why judgement.by judgement.why log.by log.why policy.by policy.why verdict.by "
        "verdict.why"
    ),
    "a moment is said there alone, and a clock may be set back between two": (
        "act.at announcement.at attempt.at bundle.at dataset.at ending.at evaluation.at generation.at harness.at "
        "judgement.at knowledge.at log.at policy.at resumption.at run.at step.at verdict.at"
    ),
    "of a bundle whose files were deleted nothing else is left that says it": (
        "bundle.dataset bundle.job bundle.session bundle.trained_at bundle.weights loss.iteration loss.loss"
    ),
    "no step came to where this limit makes a difference": (
        "policy.settings.breaker_cooldown policy.settings.breaker_probes policy.settings.breaker_threshold "
        "policy.settings.breaker_window policy.settings.canary policy.settings.frontier_never policy.settings.frontier_timeout "
        "policy.settings.local_never policy.settings.local_roles policy.settings.local_timeout policy.settings.max_age "
        "policy.settings.max_lessons "
        "policy.settings.min_coverage policy.settings.min_score policy.settings.min_valid policy.settings.mode "
        "policy.settings.run_cost policy.settings.run_tokens policy.settings.shadow"
    ),
    "what was typed or intended, where nothing came of it": "run.candidates run.frontier run.generations act.bundle",
    "measured here by another clock than the trace's": "attempt.latency",
    "words about a process that had died, written after it": "attempt.error ending.error",
    "another one that would lead to the very same": "knowledge.step verdict.evidence.trial.margin",
    "what somebody thought of an answer, and of which": "judgement.call judgement.score",
    "what another system logged, and under which version of the scenario it was read": (
        "exchange.line exchange.model log.digest log.file log.scenario_version log.skipped"
    ),
    "an evaluation that an earlier version recorded has no line in the trace": "evaluation.call",
}
"""Why nobody can know, and the columns and fields of which some edit passes for that reason; the README lists the same."""

KNOWN = {name for names in UNSEEN.values() for name in names.split()}

PARTS = 24


@pytest.fixture(scope="module")
def seen(handed_down: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = live(handed_down, tmp_path_factory.mktemp("edits"))
    with open_workspace(root, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
        yield opened


@pytest.fixture(scope="module")
def forger(seen: Workspace) -> Iterator[Forger]:
    made = Forger(seen.root / "stepdown.db")
    yield made
    made.close()


def field(edit: Edit) -> str:
    return f"{edit.change[0]}.{edit.field}"


def told(workspace: Workspace) -> bool:
    """Tell whether an audit says that something is wrong: a difference, or a sentence why there can be no audit."""
    try:
        return bool(differences(workspace))
    except StepdownError:
        return True


@pytest.mark.parametrize("table", TABLES)
def test_an_edit_of_any_field_is_told_or_is_one_that_nobody_can_know(
    seen: Workspace, forger: Forger, table: str
) -> None:
    assert differences(seen) == []
    passed = set()
    for edit in part(list(forger.edits(table)), of=PARTS):
        with forger.changed(edit.change):
            if not told(seen):
                passed.add(field(edit))
    assert passed - KNOWN == set()


def test_the_readme_lists_what_stays_unseen_and_why() -> None:
    text = " ".join(README.read_text("utf-8").split())
    assert [name for name in KNOWN if f"`{name}`" not in text] == []
    assert [why for why in UNSEEN if why not in text] == []


def test_facts_that_are_changed_alike_in_step_and_announcement_are_told(seen: Workspace, forger: Forger) -> None:
    """The two could cover for each other, where nothing else said what was true."""
    steps = forger.rows("SELECT seq, id, objections FROM step WHERE objections != '[]' ORDER BY seq")
    for number, name, _ in part(steps, of=4):
        calls = forger.rows(f"SELECT seq FROM announcement WHERE step = '{name}'")
        changes = [
            ("step", "objections", number, "[]"),
            *(("announcement", "objections", seq, "[]") for (seq,) in calls),
        ]
        with forger.changed(*changes):
            assert told(seen), f"{name} lost its objections in both"
