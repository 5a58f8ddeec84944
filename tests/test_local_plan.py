"""What a training plan accepts, and that its digest is its identity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown.errors import InvalidValue
from stepdown.training.plan import Plan

PLANS = st.builds(
    Plan,
    layers=st.integers(1, 8),
    heads=st.sampled_from([1, 2, 4]),
    width=st.sampled_from([8, 32, 256]),
    learning_rate=st.floats(1e-6, 1.0) | st.just(1),
    seed=st.integers(0, 2**32 - 1),
)


@given(PLANS)
def test_a_plan_survives_its_own_text(plan: Plan) -> None:
    assert Plan.parse(plan.to_json()) == plan
    assert Plan.parse(plan.to_json()).digest() == plan.digest()


@given(PLANS, PLANS)
def test_plans_are_equal_exactly_when_their_digests_are(one: Plan, other: Plan) -> None:
    assert (one == other) == (one.digest() == other.digest())


def test_fields_left_out_keep_their_defaults() -> None:
    assert Plan.parse("{}") == Plan()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"depth":2}',
        '{"layers":0}',
        '{"layers":true}',
        '{"layers":1.0}',
        '{"layers":"2"}',
        '{"learning_rate":NaN}',
        '{"learning_rate":Infinity}',
        '{"learning_rate":0}',
        '{"prompt_noise":1.5}',
        '{"width":33}',
        '{"vocab":100}',
        '{"seed":-1}',
    ],
)
def test_a_plan_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"^plan: "):
        Plan.parse(text)
