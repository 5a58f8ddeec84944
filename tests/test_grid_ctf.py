"""The scenario against its published figures, its referee against its validators, its printer against its parser."""

import json
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepdown.scenarios import harness, referee, roles
from stepdown.scenarios.grid_ctf import BUDGET, KEYS, GridCtf, strategy
from stepdown.scenarios.protocol import IllegalAnswer

GRID = GridCtf()
EVERY = frozenset(GRID.validators)

shares = st.floats(0, 1)
legal = (
    st.tuples(shares, shares, shares)
    .filter(lambda v: v[0] + v[1] <= BUDGET)
    .map(lambda v: dict(zip(KEYS, v, strict=True)))
)
numbers = st.one_of(
    shares,
    st.sampled_from([0, 1, True, False, -0.0, 0.7, 1.0000000001, -1e-300, 1e400, 10**400, 0.4, 1.4]),
    st.floats(),
    st.integers(-2, 2),
)
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "x", ""]), inner, max_size=4),
    max_leaves=6,
)
nearly = st.dictionaries(st.sampled_from([*KEYS, *KEYS, "luck"]), numbers | anything, max_size=4)
replies = st.one_of(
    st.builds(json.dumps, anything | nearly | st.fixed_dictionaries(dict.fromkeys(KEYS, numbers))),
    st.text(max_size=20),
    st.lists(st.tuples(st.sampled_from(KEYS), shares), max_size=5).map(
        lambda pairs: "{" + ",".join(f'"{key}":{value!r}' for key, value in pairs) + "}"
    ),
)


def judged(reply: str) -> referee.Judgement:
    """Judge a reply by the referee alone, over the tournament."""
    return referee.judge(GRID, roles.role_named(GRID, roles.COMPETITOR), reply, GRID.tournament_seeds())


def is_legal(reply: str) -> bool:
    """Ask the referee."""
    try:
        GRID.parse(reply)
    except IllegalAnswer:
        return False
    return True


@given(legal)
def test_what_is_printed_is_parsed_back_to_the_same_bytes(values: dict[str, float]) -> None:
    printed = strategy(values)

    assert GRID.parse(printed.text) == printed
    assert GRID.parse(GRID.parse(printed.text).text).text == printed.text


@given(legal, st.permutations(KEYS), st.sampled_from(["", " ", "\n\t"]))
def test_order_and_white_space_do_not_change_the_canonical_text(
    values: dict[str, float], order: list[str], space: str
) -> None:
    reply = space + json.dumps({key: values[key] for key in order}, indent=1) + space

    assert GRID.parse(reply).text == strategy(values).text


@given(replies)
@example("[" * 5000)
@example('{"aggression":' + "9" * 400 + ',"defense":0.5,"path_bias":0}')
@example('{"aggression":1e999,"defense":0,"path_bias":0}')
@example('{"aggression":NaN,"defense":0,"path_bias":0}')
@example('{"aggression":0.1,"aggression":0.1,"defense":0,"path_bias":0}')
@example('{"aggression":true,"defense":0,"path_bias":0}')
@example('{"aggression":1.0,"defense":0.4,"path_bias":0,"x":0}')
def test_all_validators_together_judge_every_reply_as_the_referee_does(reply: str) -> None:
    assert (not harness.objections(GRID, EVERY, reply)) is is_legal(reply)


@given(st.fixed_dictionaries(dict.fromkeys(KEYS, st.floats(-3, 3))))
def test_what_is_repaired_is_legal(values: dict[str, float]) -> None:
    assert is_legal(strategy(GRID.repair(values)).text)


@given(legal)
def test_repair_moves_a_legal_strategy_by_rounding_only(values: dict[str, float]) -> None:
    repaired = GRID.repair(values)

    assert all(abs(repaired[key] - values[key]) <= 0.0151 for key in KEYS)


@pytest.mark.parametrize(
    ("reply", "because"),
    [
        ('{"aggression":1.0,"defense":0.41,"path_bias":0}', "the budget is 1.4"),
        ('{"aggression":true,"defense":0,"path_bias":0}', "a boolean is no number"),
        ('{"aggression":NaN,"defense":0,"path_bias":0}', "NaN is no number"),
        ('{"aggression":Infinity,"defense":0,"path_bias":0}', "infinity is out of range"),
        ('{"aggression":0.5,"defense":0.5}', "a key is missing"),
        ('{"aggression":0.5,"defense":0.5,"path_bias":0,"seed":1}', "a key is too many"),
        ('{"aggression":0.5,"defense":0.5,"path_bias":1.0000001}', "one is the end"),
        ('{"aggression":"0.5","defense":0.5,"path_bias":1}', "a text is no number"),
        ('{"aggression":0.5,"aggression":0.5,"defense":0.5,"path_bias":1}', "a key stands twice"),
        ("null", "it is no object"),
    ],
)
def test_the_referee_refuses_what_the_published_rules_refuse(reply: str, because: str) -> None:
    assert not is_legal(reply), because


def test_the_budget_itself_is_legal() -> None:
    assert is_legal('{"aggression":1.0,"defense":0.4,"path_bias":1}')
    assert is_legal('{"aggression":0.7,"defense":0.7,"path_bias":0}')


@given(legal, st.integers(0, 2**32))
def test_a_score_is_the_published_formula_to_four_decimals(values: dict[str, float], seed: int) -> None:
    a, d, p = (values[key] for key in KEYS)
    u = random.Random(seed).uniform(-0.07, 0.07)
    capture = min(1, max(0, 0.55 * a + 0.45 * p + u))
    survival = min(1, max(0, 1 - 0.4 * a + 0.4 * d))
    efficiency = min(1, max(0, 1 - 0.3 * a + 0.1 * d))
    expected = round(0.6 * capture + 0.25 * survival + 0.15 * efficiency, 4)

    match = GRID.play(strategy(values), seed)
    assert match.score == pytest.approx(expected, abs=1e-4)
    assert match.won is (match.score >= 0.55)
    assert 0 <= match.score <= 1


def test_the_best_strategy_scores_about_089_and_random_play_about_065() -> None:
    best = strategy({"aggression": 1.0, "defense": 0.4, "path_bias": 1.0})
    assert judged(best.text).score == pytest.approx(0.89, abs=0.02)

    draw = random.Random(0)
    drawn = [{key: draw.random() for key in KEYS} for _ in range(2000)]
    scores = [GRID.play(strategy(v), 1).score for v in drawn if v["aggression"] + v["defense"] <= BUDGET]
    assert sum(scores) / len(scores) == pytest.approx(0.65, abs=0.05)


@given(st.integers(0, 2**40))
def test_an_observation_is_drawn_spawn_first_and_density_second(seed: int) -> None:
    draw = random.Random(seed)
    expected = {"enemy_spawn_bias": round(draw.uniform(0.25, 0.75), 3)}
    expected["resource_density"] = round(draw.uniform(0.1, 0.9), 3)

    assert GRID.observation(seed) == expected


def test_held_out_seeds_are_played_nowhere_else() -> None:
    assert not set(GRID.holdout_seeds()) & set(GRID.tournament_seeds())
    assert min(GRID.holdout_seeds()) > 500_000
    assert len(set(GRID.holdout_seeds())) == 64


def test_every_probe_is_judged_by_the_referee_as_its_fixture_says() -> None:
    assert [probe.source for probe in GRID.probes() if is_legal(probe.reply) is not probe.legal] == []
    assert all(probe.source for probe in GRID.probes())


def test_the_whole_harness_covers_every_probe() -> None:
    assert harness.coverage(GRID, EVERY) == 1.0


@pytest.mark.parametrize("validator", sorted(EVERY))
def test_switching_any_validator_off_lowers_coverage(validator: str) -> None:
    assert harness.coverage(GRID, EVERY - {validator}) < 1.0


@given(st.sets(st.sampled_from(sorted(EVERY))), st.sets(st.sampled_from(sorted(EVERY))))
def test_more_validators_never_refuse_less(some: set[str], others: set[str]) -> None:
    for probe in GRID.probes():
        if harness.objections(GRID, some, probe.reply):
            assert harness.objections(GRID, some | others, probe.reply)


@pytest.mark.parametrize(
    "reply",
    ["", "[]", "{}", '{"playbook":"a"}', '{"playbook":"a","hints":""}', '{"playbook":"a","hints":1}',
     '{"playbook":"a","hints":"b","more":1}', json.dumps({"playbook": "a" * 601, "hints": "b"}), "[" * 5000],
)  # fmt: skip
def test_a_coach_is_heard_only_when_it_gives_a_lesson(reply: str) -> None:
    assert roles.lesson(reply) is None
    assert referee.judge(GRID, roles.role_named(GRID, roles.COACH), reply, (), EVERY).refusals


@given(anything)
def test_no_reply_whatever_breaks_the_referee(value: Any) -> None:
    reply = json.dumps(value)
    assert judged(reply).score is not None
    assert roles.lesson(reply) is None or isinstance(value, dict)
