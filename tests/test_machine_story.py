"""A failing program reads as a story: everything that can be done has a sentence, and what came of it stands below."""

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.broken import system
from stepdown_machine.campaign import campaign
from stepdown_machine.kill_matrix import machine_for
from stepdown_machine.names import Names
from stepdown_machine.sentences import SENTENCES, sentence
from stepdown_machine.session import Session
from stepdown_machine.story import LAST, LONGEST, told
from stepdown_machine.values import Policy, Refusal

DONE = (None, ())
SERVING = (op.Run(0), op.Export(), op.Train("dataset-1", "tiny-a"), op.Activate("bundle-1"))


def test_everything_that_can_be_done_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(get_args(op.Plain))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (op.Run(3, 2, 1), "run 2 generations of 1 question, seed 3"),
        (op.SetPolicy(Policy()), "set the policy: the usual one"),
        (
            op.SetPolicy(Policy(breaker_threshold=1, breaker_cooldown=0.0, shadow=True, local_roles=())),
            "set the policy: local_roles nobody, breaker_threshold 1, breaker_cooldown 0, shadow on",
        ),
        (op.Disturb("garbage", "error"), "from now on local answers garbage and the frontier fails"),
        (op.Prune(keep=0, ahead=True), "say what would be deleted of the bundles that nobody needs, keeping no runs"),
        (
            op.Crash(op.Train("dataset-1", "tiny-a", fresh=True), "shelved"),
            "train a bundle from dataset-1 by the plan 'tiny-a' afresh; kill that process at the point 'shelved', and open "
            "the system again",
        ),
        (
            op.Rival(op.Disable("bundle-1"), op.Run(1), "announced", 5.0, (op.Audit(),)),
            "in a second process: run 1 generation of 1 question, seed 1; while that is held at the point 'announced', in "
            "the first: switch bundle-1 off; then audit; then 5 seconds pass",
        ),
    ],
)
def test_what_is_done_is_said_in_words(operation: op.Operation, said: str) -> None:
    assert sentence(operation) == said


def test_a_story_says_what_came_of_everything_in_readable_names() -> None:
    session = Session(system("correct"))
    try:
        for operation in (*SERVING, op.Disturb("error"), op.Run(1), op.Retire("bundle-1"), op.Activate("bundle-1")):
            session.act(operation)
        story = session.told()
    finally:
        session.close()

    assert story.splitlines() == [
        "  1  run 1 generation of 1 question, seed 0",
        "     -> run-1 was served by frontier (not local: bundle-absent), frontier for the coach",
        "  2  export the answers",
        "     -> dataset-1 with 1 record",
        "  3  train a bundle from dataset-1 by the plan 'tiny-a'",
        "     -> bundle-1: it scores 0.655 at least, and 100% of what it says is legal",
        "  4  put bundle-1 in the slot",
        "  5  from now on local fails",
        "  6  run 1 generation of 1 question, seed 1",
        "     -> run-2 was served by frontier (not local: local-error; local was asked first, and failed),",
        "        frontier for the coach",
        "  7  retire bundle-1",
        "  8  put bundle-1 in the slot",
        "     -> refused: bundle-retired",
    ]


@given(st.lists(st.integers(1, 9), max_size=3 * LONGEST), st.sets(st.integers(1, 9), max_size=3))
def test_of_a_long_program_the_last_is_told_and_what_speaks_of_the_failure(
    numbers: Sequence[int], named: set[int]
) -> None:
    operations = [op.Disable(f"bundle-{number}") for number in numbers]
    failure = " ".join(f"bundle-{number} is wrong" for number in sorted(named))
    lines = told(operations, [DONE] * len(operations), Names(), failure).splitlines()
    shown = [int(line.split()[0]) for line in lines if "left out" not in line]
    left_out = sum(int(line.split()[0].lstrip("(")) for line in lines if "left out" in line)

    assert len(shown) <= LONGEST
    assert len(shown) + left_out == len(operations)
    if len(operations) <= LONGEST:
        assert left_out == 0
    else:
        assert shown[-LAST:] == [*range(len(operations) - LAST + 1, len(operations) + 1)]
        assert all(numbers[each - 1] in named for each in shown[:-LAST])
        speaking = [each for each in range(1, len(operations) - LAST + 1) if numbers[each - 1] in named]
        assert shown[:-LAST] == speaking[-(LONGEST - LAST) :]


def test_what_was_never_answered_is_told_too() -> None:
    refused = (Refusal("unknown-run"), ())

    assert told([op.Report("run-1"), op.Audit()], [refused], Names()).splitlines() == [
        "  1  tell run-1",
        "     -> refused: unknown-run",
        "  2  audit",
        "     -> it was not answered: something was raised",
    ]


def test_a_failure_is_told_once_in_the_numbers_of_its_shorter_program() -> None:
    found = campaign(machine_for("failure-disables"), 0)

    assert "  shorter     " in found.output
    assert found.output.count("  expected    ") == 1
    headline, _, story = found.output.partition("what was done, from a fresh system on:")
    (step,) = {
        word
        for line in headline.splitlines()
        if "requested frontier" in line
        for word in line.split()
        if "run-" in word
    }
    assert f"-> {step.split('.')[0]} was served by frontier" in story
    assert "(bundle-1 is switched off)" not in headline, "that it is off is what went wrong, and no reason"


def test_an_id_that_is_another_ones_name_or_begins_another_is_told_apart() -> None:
    names = Names()
    for id_ in ("run-0", "run-1", "run-10"):
        names.name("run", id_)

    assert names.readable("run-0.0.1 and run-1/0, run-10; not run-100 nor rerun-1") == (
        "run-1.0.1 and run-2/0, run-3; not run-100 nor rerun-1"
    )
