"""A policy holds what can be meant, and refuses the rest by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown.acts import configure
from stepdown.errors import InvalidValue
from stepdown.history import rows
from stepdown.routing.policy import SHARES, Policy
from stepdown.workspace import Workspace

BAD: list[tuple[str, Any]] = [
    *((name, value) for name in SHARES for value in ("nan", "inf", -0.001, 1.001, "", "high", None)),
    *((name, value) for name in ("max_age", "breaker_window", "breaker_cooldown") for value in ("nan", -1, "soon")),
    *((name, value) for name in ("local_timeout", "frontier_timeout") for value in ("nan", 0, -1, "inf", 86401)),
    *(("breaker_threshold", value) for value in (0, -1, "1.5", 1.5, "nan", True)),
    *(("breaker_probes", value) for value in (-1, 0.5, "many")),
    ("mode", "sometimes"),
    ("shadow", "perhaps"),
    ("shadow", 2),
    ("local_roles", 3),
    ("local_roles", [1]),
    ("no_such_value", 1),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_out_of_range_is_refused_in_one_sentence_and_changes_nothing(
    workspace: Workspace, name: str, value: Any
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        configure.set_policy(workspace, {"min_valid": 0.5, name: value})

    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with workspace.reading() as connection:
        assert workspace.policy(connection) == (0, Policy())


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [0, 1, "0", "1", 0.5])
def test_both_ends_of_a_share_are_meant(name: str, value: Any) -> None:
    assert getattr(Policy().replacing({name: value}), name) == float(value)


def test_zero_means_zero() -> None:
    changed = Policy().replacing({"max_age": 0, "breaker_cooldown": "0", "breaker_probes": "0", "breaker_window": 0})

    assert (changed.max_age, changed.breaker_cooldown, changed.breaker_probes, changed.breaker_window) == (0, 0, 0, 0)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "min_score": st.floats(0, 1),
            "canary": st.floats(0, 1),
            "max_age": st.floats(0) | st.just("inf"),
            "local_timeout": st.floats(0.001, 86400),
            "breaker_threshold": st.integers(1, 1000),
            "shadow": st.sampled_from([True, False, "on", "off", "true", "false"]),
            "mode": st.sampled_from(["auto", "frontier-only", "local-only"]),
            "local_roles": st.sampled_from(["", "competitor", "coach, competitor", ["competitor"]]),
        },
    )
)
def test_what_is_stored_is_read_back_the_same(changes: dict[str, Any]) -> None:
    policy = Policy().replacing(changes)
    stored = json.loads(json.dumps(policy.as_json()))

    assert Policy.from_json(stored) == policy


def test_a_change_is_a_row_that_says_who_and_why_and_no_change_is_none(workspace: Workspace) -> None:
    configure.set_policy(workspace, {"min_score": 0.5}, by="ada", why="a trial")
    configure.set_policy(workspace, {"min_score": 0.5}, by="bob", why="again")

    with workspace.reading() as connection:
        from stepdown.history import reader

        (row,) = reader.all_of(connection, rows.PolicyChange)
    assert (row.number, row.by, row.why, row.at) == (1, "ada", "a trial", workspace.now())
