"""Answers of any kind, judged once: on many seeds where a game is played, on their own case where a question was asked."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import BEST, SCENARIO, Hands, Scripted, Strange, attempts, compete, discover, steps
from labels import WORDS, Moods, Oracle
from stepdown.acts import configure, switch
from stepdown.acts.export import export
from stepdown.acts.localize import Trained, localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.errors import InvalidValue, Refused
from stepdown.history import reader, rows
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Match, answer
from stepdown.scenarios.referee import judge
from stepdown.scenarios.roles import COMPETITOR, role_named
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.views.audit import differences, unchecked
from stepdown.workspace import Settings, Workspace


class Counted(GridCtf):
    """grid_ctf that counts what it is asked to read and to play."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def parse(self, reply: str) -> Answer:
        """Count and read."""
        self.seen["parsed"] += 1
        return super().parse(reply)

    def play(self, answer: Answer, seed: int) -> Match:
        """Count and play."""
        self.seen["played"] += 1
        return super().play(answer, seed)


def test_a_reply_is_parsed_once_and_played_once_on_each_seed() -> None:
    counted = Counted()

    judgement = judge(counted, role_named(counted, COMPETITOR), BEST, counted.tournament_seeds(), counted.validators)

    assert counted.seen == {"parsed": 1, "played": len(counted.tournament_seeds())}
    assert judgement.score == pytest.approx(0.89, abs=0.02)
    assert len(judgement.matches) == len(counted.tournament_seeds())


@pytest.mark.parametrize("score", [-0.0, True, 1])
def test_a_score_is_one_number_in_every_text_and_database(score: Any) -> None:
    strange = Strange(GridCtf(), play=lambda _, seed: Match(seed, score, False, {}))

    judgement = judge(strange, role_named(strange, COMPETITOR), BEST, [3])

    assert [repr(match.score) for match in judgement.matches] == [repr(abs(float(score)))]


@pytest.mark.parametrize(
    "match", [None, 0.5, Match(3, None, False, {}), Match(3, "x", False, {}), Match(3, 10**400, False, {})]
)
def test_what_is_no_score_is_a_sentence_about_the_scenario(match: Any) -> None:
    strange = Strange(GridCtf(), play=lambda *_: match)

    with pytest.raises(InvalidValue, match="The scenario grid_ctf broke while playing seed 3"):
        judge(strange, role_named(strange, COMPETITOR), BEST, [3])


def test_what_somebodys_code_ends_the_program_with_is_a_sentence_too() -> None:
    def leave(*_: object) -> Match:
        raise SystemExit(3)

    strange = Strange(GridCtf(), play=leave)
    with pytest.raises(InvalidValue, match=r"broke while playing seed 3 \(SystemExit: 3\)"):
        judge(strange, role_named(strange, COMPETITOR), BEST, [3])


def test_a_step_plays_its_tournament_once(tmp_path: Path, settings: Settings) -> None:
    counted = Counted()
    made = replace(settings, scenario=lambda _name: counted, frontier=lambda _word, _scenario: Scripted([BEST]))
    with open_workspace(tmp_path / "workspace", settings=made) as workspace:
        counted.seen.clear()
        compete(workspace)

    # Once more is read what the coach's question shows the frontier of the run.
    assert counted.seen["played"] == len(counted.tournament_seeds())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(values)
def test_an_answer_of_any_kind_has_one_canonical_text(value: Any) -> None:
    try:
        found = answer(value)
    except IllegalAnswer:
        assert any("\ud800" <= character <= "\udfff" for character in repr(value)) or "\\ud" in repr(value)
        return
    assert answer(json.loads(found.text)).text == found.text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": "\ud800"}, {1, 2}], ids=repr)
def test_what_has_no_canonical_form_is_no_answer(value: Any) -> None:
    with pytest.raises(IllegalAnswer, match="no canonical form"):
        answer(value)


def nested(depth: int) -> Any:
    """An array in an array in an array."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_an_answer_nested_beyond_all_use_is_none() -> None:
    with pytest.raises(IllegalAnswer, match="no canonical form"):
        answer(nested(100_000))


@dataclass
class Fickle:
    """grid_ctf whose referee never says the same twice."""

    reproducible: bool = False
    plays: int = field(default=0)

    def play(self, _answer: Answer, seed: int) -> Match:
        """Say something new."""
        self.plays += 1
        score = self.plays % 97 / 100
        return Match(seed, score, score >= 0.55, {})


def fickle(**says: Any) -> Strange:
    """Return a scenario whose scores cannot be had again, and which says so or not."""
    return Strange(GridCtf(), play=Fickle().play, **says)


def test_a_score_that_cannot_be_had_again_is_no_difference_where_the_scenario_says_so(
    tmp_path: Path, settings: Settings
) -> None:
    scenario = fickle(reproducible=False)
    made = replace(settings, scenario=lambda _name: scenario)
    with open_workspace(tmp_path / "workspace", settings=made) as workspace:
        discover(workspace, generations=2, candidates=3)

        assert differences(workspace) == []
        assert [sentence.split(":")[0] for sentence in unchecked(workspace)] == ["not reproducible"]


def test_the_same_score_is_a_difference_where_the_scenario_promises_to_give_it_again(
    tmp_path: Path, settings: Settings
) -> None:
    scenario = fickle()
    made = replace(settings, scenario=lambda _name: scenario)
    with open_workspace(tmp_path / "workspace", settings=made) as workspace:
        discover(workspace, generations=1, candidates=2)

        assert {found.claim for found in differences(workspace)} >= {"I7"}


def test_a_play_that_costs_a_second_is_paid_once(tmp_path: Path, settings: Settings) -> None:
    asked: list[int] = []

    def slow(given: Answer, seed: int) -> Match:
        asked.append(seed)
        time.sleep(0.02)
        return GridCtf().play(given, seed)

    scenario = Strange(GridCtf(), play=slow)
    made = replace(settings, scenario=lambda _name: scenario)
    with open_workspace(tmp_path / "workspace", settings=made) as workspace:
        step = compete(workspace)

    assert step.score is not None
    assert asked == list(GridCtf().tournament_seeds())


@pytest.mark.parametrize("broken", ["parse", "play", "observation", "schema"])
def test_a_scenario_that_breaks_is_one_sentence_that_names_it(tmp_path: Path, settings: Settings, broken: str) -> None:
    def divide(*_: Any) -> Any:
        return 1 / 0

    scenario = Strange(GridCtf(), **{broken: divide})
    made = replace(settings, scenario=lambda _name: scenario, frontier=lambda _word, _scenario: Scripted([BEST]))
    with open_workspace(tmp_path / "workspace", settings=made) as workspace:
        with pytest.raises(InvalidValue, match=r"The scenario grid_ctf broke while .*ZeroDivisionError") as refusal:
            compete(workspace)
        assert refusal.value.kind == "scenario-broken"


def test_a_frontier_that_cannot_propose_for_a_scenario_says_so_before_the_run_starts(
    tmp_path: Path, settings: Settings
) -> None:
    with open_workspace(
        tmp_path / "workspace", settings=replace(settings, scenario=lambda _name: Moods())
    ) as workspace:
        with pytest.raises(Refused, match="looks for the best point of a box, and moods has none"):
            start(workspace, "moods")
        with workspace.reading() as connection:
            assert reader.count(connection, rows.Run) == 0


@dataclass
class Taught:
    """A workspace of the label task, with what was learned in it."""

    workspace: Workspace
    oracle: Oracle
    trained: Trained


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taught]:
    """Discover labels with a perfect frontier, export them, and train on them with the default plan for cases."""
    oracle = Oracle()
    made = Settings(
        clock=Hands().clock,
        durability="normal",
        scenario=lambda _name: Moods(),
        frontier=lambda _word, _scenario: oracle,
    )
    with open_workspace(tmp_path_factory.mktemp("moods") / "workspace", settings=made) as workspace:
        play(start(workspace, "moods", generations=4, candidates=60, frontier="oracle"))
        yield Taught(workspace, oracle, localize(workspace, export(workspace, Filters("moods")).path))


def test_a_perfect_frontier_scores_one_where_the_answer_depends_on_the_question(taught: Taught) -> None:
    with taught.workspace.reading() as connection:
        found = [step for step in reader.steps(connection, "run-1") if step.role == COMPETITOR]
        generations = reader.generations(connection, "run-1")
        matches = reader.matches(connection, found[0].id)

    assert {step.score for step in found} == {1.0}
    assert [generation.score for generation in generations] == [1.0] * 4
    assert [match.seed for match in matches] == [found[0].seed]


def test_rules_and_schema_reach_the_provider(taught: Taught) -> None:
    request = taught.oracle.asked[0]

    assert request.instructions == Moods.rules
    assert request.schema == {"enum": sorted(WORDS)}


def test_every_label_is_trained_and_no_question_stands_on_both_sides(taught: Taught) -> None:
    path = taught.workspace.root / "datasets" / taught.trained.bundle.dataset
    train, valid = (
        [json.loads(line) for line in (path / name).read_text("utf-8").splitlines()]
        for name in ("train.jsonl", "valid.jsonl")
    )

    assert {row["completion"] for row in train} == {json.dumps(label) for label in WORDS}
    asked = [{row["prompt"].partition("observation: ")[2] for row in side} for side in (train, valid)]
    assert not asked[0] & asked[1]


def test_the_plan_follows_from_how_answers_are_judged_and_the_bundle_learns_the_labels(taught: Taught) -> None:
    manifest = json.loads((taught.workspace.bundle_directory(taught.trained.bundle.id) / "manifest.json").read_text())

    assert manifest["plan"]["prompt_noise"] == 0
    assert taught.trained.evaluation.valid == 1.0
    assert (taught.trained.evaluation.mean or 0) >= 0.95


def test_local_serves_the_task_and_history_is_what_happened(taught: Taught) -> None:
    switch.activate(taught.workspace, taught.trained.bundle.id, forced=True)
    run = play(start(taught.workspace, "moods", seed=9, generations=1, candidates=4, frontier="oracle"))

    served = steps(taught.workspace, run.id)
    assert [step.served for step in served] == ["local"] * 4
    assert all(
        attempts(taught.workspace, step)[0].weights_digest == taught.trained.bundle.weights_digest for step in served
    )
    assert differences(taught.workspace) == []


def test_a_bundle_that_ignores_its_input_passes_no_gate(taught: Taught) -> None:
    workspace = taught.workspace
    dataset = workspace.root / "datasets" / taught.trained.bundle.dataset
    deaf = localize(workspace, dataset, plan=Plan.tiny(iterations=60, prompt_noise=1.0, rehearsals=5))
    switch.activate(workspace, deaf.bundle.id, forced=True)
    configure.set_policy(workspace, {"min_score": 0.5})
    run = play(start(workspace, "moods", seed=10, generations=1, candidates=2, frontier="oracle"))

    assert {step.reason for step in steps(workspace, run.id)} == {"quality-below-threshold"}
    assert differences(workspace) == []


def test_grid_ctf_is_judged_as_ever(workspace: Workspace) -> None:
    step = compete(workspace)
    with workspace.reading() as connection:
        matches = reader.matches(connection, step.id)

    assert [match.seed for match in matches] == list(GridCtf().tournament_seeds())
    assert SCENARIO == "grid_ctf"
