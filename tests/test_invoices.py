"""invoices: the truth stands in every sentence, harness and referee agree, and the embedded frontier reads and really errs."""

import json
import subprocess
import sys
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import SMALL, Hands, steps
from stepdown.acts import configure, switch
from stepdown.acts.ask import live
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.errors import InvalidValue, Refused
from stepdown.providers.installed import frontier_named
from stepdown.scenarios import harness, roles
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.scenarios.invoice_cases import case
from stepdown.scenarios.invoices import KEYS, LONGEST_NUMBER, Invoices
from stepdown.scenarios.protocol import IllegalAnswer
from stepdown.scenarios.referee import judge
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.workspace import Settings

INVOICES = Invoices()
ROLE = roles.proposer(INVOICES)
EVERY = frozenset(INVOICES.validators)
seeds = st.integers(0, 2**40)


@given(seeds)
def test_the_truth_stands_in_the_sentence(seed: int) -> None:
    told = case(seed)

    assert told.expected["number"] in told.text
    day = date.fromisoformat(told.expected["date"])
    assert str(day.day) in told.text
    assert str(day.year)[2:] in told.text
    whole = f"{Decimal(str(told.expected['amount'])).quantize(Decimal('0.01')):f}".split(".")[1]
    assert whole in told.text
    assert "\n" not in told.text


@given(seeds)
def test_the_right_answer_scores_one_and_is_legal(seed: int) -> None:
    right = json.dumps(dict(case(seed).expected))

    judgement = judge(INVOICES, ROLE, right, (seed,), EVERY)

    assert (judgement.refusals, judgement.score) == ((), 1.0)


def test_each_wrong_field_costs_a_quarter() -> None:
    for name, wrong in {"amount": 1e6, "currency": "XXX", "date": "1999-01-01", "number": "none"}.items():
        told = json.dumps({**case(5).expected, name: wrong})
        assert judge(INVOICES, ROLE, told, (5,), EVERY).score == 0.75


def test_languages_countries_and_notations_all_come() -> None:
    languages = Counter(case(seed).language for seed in range(600))
    currencies = Counter(case(seed).expected["currency"] for seed in range(600))

    assert min(languages[language] for language in ("de", "en", "fr")) > 120
    assert min(currencies.values()) > 90
    assert len({case(seed).text for seed in range(3000)}) == 3000


def test_a_case_is_the_same_in_another_process() -> None:
    code = "from stepdown.scenarios.invoice_cases import case; print([case(s).text for s in range(50)])"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert other.stdout.strip() == str([case(seed).text for seed in range(50)])


def test_held_out_sentences_are_asked_nowhere_else() -> None:
    sides = [range(500_000), INVOICES.holdout_seeds(), INVOICES.comparison_seeds()]

    assert not set(sides[1]) & set(sides[2])
    assert min(*sides[1], *sides[2]) >= 500_000


values = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=LONGEST_NUMBER + 2)
objects = st.fixed_dictionaries(
    {},
    optional={
        "amount": values,
        "currency": values | st.sampled_from(["EUR", "eur", "€", "EURO", "ÄÖÜ"]),
        "date": values | st.sampled_from(["2024-02-29", "2023-02-29", "0000-01-01", "2024-1-1", "２０２４-01-01"]),
        "number": values,
        "extra": values,
    },
)


@given(objects | st.lists(values) | values)
def test_all_validators_together_judge_every_reply_as_the_referee_does(value: Any) -> None:
    reply = json.dumps(value)
    try:
        INVOICES.parse(reply)
        legal = True
    except IllegalAnswer:
        legal = False

    assert (harness.objections(INVOICES, EVERY, reply) == ()) is legal


def test_every_probe_is_what_it_says_and_no_validator_is_idle() -> None:
    for probe in INVOICES.probes():
        assert (judge(INVOICES, ROLE, probe.reply, ()).answer is not None) is probe.legal, probe.source
    assert harness.coverage(INVOICES, EVERY) == 1.0
    assert all(harness.coverage(INVOICES, EVERY - {name}) < 0.95 for name in EVERY)


def test_the_embedded_frontier_is_often_right_and_really_errs(tmp_path: Path) -> None:
    made = Settings(clock=Hands().clock, durability="normal")
    with open_workspace(tmp_path / "invoices", settings=made) as workspace:
        run = play(start(workspace, "invoices", generations=2, candidates=60, frontier="extract"))
        found = steps(workspace, run.id)
        dataset = export(workspace, Filters("invoices"))

        assert 0.5 < sum(step.score == 1 for step in found) / len(found) < 0.95
        assert {step.outcome for step in found} == {"served", "failed"}
        assert dataset.train > dataset.valid > 0
        assert differences(workspace) == []


def test_a_bundle_that_ignores_its_sentence_passes_no_gate(tmp_path: Path) -> None:
    made = Settings(clock=Hands().clock, durability="normal")
    with open_workspace(tmp_path / "invoices", settings=made) as workspace:
        play(start(workspace, "invoices", generations=1, candidates=30, frontier="extract"))
        trained = localize(workspace, export(workspace, Filters("invoices")).path, plan=SMALL)
        switch.activate(workspace, trained.bundle.id, forced=True)
        configure.set_policy(workspace, {"min_score": 0.5, "min_valid": 0.5})
        with live(workspace, "invoices", frontier="extract") as desk:
            replies = [desk.ask(seed) for seed in range(4)]

        assert {reply.reason for reply in replies} <= {"quality-below-threshold", "validity-below-threshold"}
        assert (trained.evaluation.mean or 0) < 0.5
        assert differences(workspace) == []


def test_the_embedded_frontier_answers_for_its_own_scenario_only() -> None:
    with pytest.raises(Refused, match="reads invoices, and cannot answer for grid_ctf"):
        frontier_named("extract", GridCtf())
    with pytest.raises(InvalidValue, match="takes no argument"):
        frontier_named("extract:x", INVOICES)
    with pytest.raises(Refused, match="looks for the best point of a box"):
        frontier_named("search", INVOICES)
    assert KEYS == ("amount", "currency", "date", "number")
