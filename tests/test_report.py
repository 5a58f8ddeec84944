"""A report says what the rows say, sums what they sum to, and no reply can break its form."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import FRONTIER, SCENARIO, active, attempts, compete, discover, move, steps, tape
from stepdown.acts import configure
from stepdown.acts.ask import live
from stepdown.acts.promote import promote
from stepdown.errors import NotFound
from stepdown.reports.invariants import MEANINGS
from stepdown.reports.markdown import render, table
from stepdown.reports.story import percentiles
from stepdown.training.promotion import Trial
from stepdown.views.runs import plain, runs, story
from stepdown.workspace import Workspace
from stepdown_machine.invariants import CLAIMS

UNESCAPED_BAR = re.compile(r"(?<!\\)(?:\\\\)*\|")


def test_sums_are_the_sums_of_the_rows(local: Workspace) -> None:
    discover(local, seed=1, generations=2, candidates=2)
    run = discover(local, seed=2, candidates=8, frontier=f"recorded:{FRONTIER}")
    told = story(local, run.id)

    found = [attempt for role in ("competitor", "coach") for step in steps(local, run.id, role)
             for attempt in attempts(local, step)]  # fmt: skip
    assert sum(spend.attempts for spend in told.spends) == len(found) == len(told.attempts)
    assert sum(spend.input_tokens for spend in told.spends) == sum(a.input_tokens or 0 for a in found)
    assert sum(spend.output_tokens for spend in told.spends) == sum(a.output_tokens or 0 for a in found)
    assert sum(spend.failed for spend in told.spends) == sum(not a.accepted for a in found)
    assert sum(told.served.values()) == len(told.steps)
    assert told.reasons.get("role-not-eligible") == 1


def test_an_unknown_price_is_unknown_and_not_zero(workspace: Workspace) -> None:
    run = discover(workspace, candidates=2, frontier=f"recorded:{FRONTIER}")
    (spend,) = story(workspace, run.id).spends

    assert (spend.provider, spend.unpriced) == ("recorded", spend.attempts)
    assert all(attempt.cost is None for attempt in story(workspace, run.id).attempts)
    assert "unpriced" in render(story(workspace, run.id))


def test_the_report_names_who_served_every_step_and_why_local_did_not(local: Workspace) -> None:
    step = compete(local, seed=1)
    configure.set_policy(local, {"min_score": 1.0})
    other = compete(local, seed=2)

    assert f"| {step.id} | competitor | local | local ok | local |" in render(story(local, step.run))
    fallen = render(story(local, other.run))
    assert f"| {other.id} | competitor | frontier | frontier ok | frontier | quality-below-threshold |" in fallen


def test_the_report_shows_where_the_weights_come_from(local: Workspace) -> None:
    held, step = active(local), compete(local)

    told = story(local, step.run)
    assert [provenance.bundle for provenance in told.bundles] == [held]
    for digest in (held.id, held.weights, held.dataset):
        assert digest[:12] in render(told)


def test_the_report_says_who_let_a_bundle_serve_and_by_force(local: Workspace) -> None:
    told = render(story(local, compete(local).run))

    assert "UTC: activate by force by conftest: every test begins here" in told


def test_a_report_on_a_bundle_that_is_gone_says_so(local: Workspace) -> None:
    step = compete(local)
    local.bundle_directory(active(local).id).rename(local.root / "aside")

    assert "gone or not whole" in render(story(local, step.run))


NASTY = "| a | b |\n\n# A heading\r\n\u2028`code` \\| \\\\| <b> \x85"


@given(st.lists(st.lists(st.text() | st.sampled_from([NASTY, "\\", "|", "\\|", "a\\"]) | st.floats() | st.none(),
                         min_size=3, max_size=3), max_size=4))  # fmt: skip
def test_no_cell_breaks_its_table(body: list[list[object]]) -> None:
    lines = list(table(("a", "b", "c"), body))

    assert len(lines) == len(body) + 3
    assert lines[-1] == ""
    for line in lines[:-1]:
        assert len(UNESCAPED_BAR.findall(line)) == 4
        assert len(line.splitlines()) == 1


def test_no_reply_of_a_coach_breaks_the_report(workspace: Workspace, tmp_path: Path) -> None:
    path = tape(tmp_path / "tape.jsonl", [NASTY, '{"aggression":0.5,"defense":0.5,"path_bias":0.5}'])
    lesson = json.dumps({"playbook": NASTY, "hints": "## " + NASTY})
    coach = {"role": "coach", "text": lesson}
    lines = [line for line in path.read_text().splitlines() if '"coach"' not in line]
    path.write_text("\n".join([*lines, json.dumps(coach)]) + "\n")
    run = discover(workspace, candidates=2, frontier=f"recorded:{path}")

    markdown = render(story(workspace, run.id))
    assert [line for line in markdown.splitlines() if line.startswith("# ")] == [f"# {run.id}: grid_ctf"]
    assert "A heading" in markdown
    tables = [block.splitlines() for block in markdown.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 5
    for lines in tables:
        assert len({len(UNESCAPED_BAR.findall(line)) for line in lines}) == 1, lines


def test_the_sentence_of_a_failed_run_is_one_line(workspace: Workspace) -> None:
    from journey import SCENARIO
    from stepdown.acts.run import start

    under_way = start(workspace, SCENARIO)
    under_way.end("failed", "It broke.\n\n# And forged a heading")

    assert "\n# And" not in render(story(workspace, under_way.run.id))


def test_the_report_shows_every_reply_and_why_it_could_not_be_used(workspace: Workspace, tmp_path: Path) -> None:
    good, illegal = move(0.5, 0.5, 0.5), move(1.0, 1.0, 1.0)
    path = tape(tmp_path / "tape.jsonl", [good, illegal, "no strategy at all"])
    run = discover(workspace, candidates=3, frontier=f"recorded:{path}")

    told, _, unused = render(story(workspace, run.id)).partition("## What could not be used")

    assert good in told
    assert illegal not in told
    refused = [attempt for attempt in story(workspace, run.id).attempts if not attempt.accepted]
    assert len(refused) == 2
    for attempt in refused:
        (line,) = [each for each in unused.splitlines() if each.startswith(f"| {attempt.call} |")]
        assert attempt.reply in line  # type: ignore[operator]
        assert all(refusal in line for refusal in attempt.refusals)


def test_no_report_of_any_kind_of_run_shows_an_empty_table(local: Workspace) -> None:
    discover(local, seed=1)
    promote(local, active(local).id, trial=Trial(margin=0.5, budget=32))
    with live(local, SCENARIO) as desk:
        desk.ask(3)

    purposes = set()
    for run, _ in runs(local):
        purposes.add(run.purpose)
        lines = render(story(local, run.id)).splitlines()
        heads = [number for number, line in enumerate(lines) if line.startswith("| ---")]
        assert heads
        assert all(lines[number + 1].startswith("|") for number in heads), run.purpose
    assert purposes == {"work", "comparison", "live"}


def test_what_local_served_is_a_share_of_what_it_may_serve_and_the_rest_is_named(local: Workspace) -> None:
    told = render(story(local, discover(local, seed=1).id))

    assert "Local served 100% of the served answers of competitor." in told
    assert "The policy lets it serve no other role: coach is the frontier's." in told
    assert "| coach | frontier | 1 |" in told
    assert "| competitor | local | 2 |" in told


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\u202e"])
def test_nothing_in_a_cell_is_obeyed_by_a_terminal(character: str) -> None:
    assert character not in "".join(table(("a",), [[f"x{character}[2J"]]))


def test_every_number_of_an_invariant_means_here_what_the_machine_claims() -> None:
    claims = {code: claim for code, claim in CLAIMS.items() if code.startswith("I")}

    assert MEANINGS.keys() == claims.keys()
    small = {"a", "an", "the", "is", "it", "every", "when"}
    for code, claim in claims.items():
        said, meant = (set(text.split()) - small for text in (claim, MEANINGS[code]))
        assert said == meant, code


def test_an_unknown_run_is_refused(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="There is no run 'run-9'"):
        story(workspace, "run-9")
    assert runs(workspace) == []


def test_what_is_printed_as_json_is_json(local: Workspace) -> None:
    configure.set_policy(local, {"max_age": "inf"})
    step = compete(local)

    text = json.dumps(plain(story(local, step.run)), allow_nan=False)
    assert json.loads(text)["run"]["id"] == step.run
    assert plain([float("nan"), float("inf"), 1.5]) == ["nan", "inf", 1.5]


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_lie_within_what_was_measured(seconds: list[float]) -> None:
    found = percentiles(seconds)

    assert found is not None
    middle, high = found
    rounding = 1e-9 * max(seconds)
    assert min(seconds) - rounding <= middle <= high + rounding <= max(seconds) + 2 * rounding
    assert percentiles([]) is None
