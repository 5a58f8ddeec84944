"""A model taken apart in halves learns what the whole does, whatever all records begin with."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_base import make_gguf
from stepdown.acts import adopt
from stepdown.acts.opening import open_workspace
from stepdown.bases import disk

pytestmark = pytest.mark.skipif(find_spec("mlx_lm") is None, reason="pretrained models are opened with mlx-lm")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A base of a few thousand weights, whose last block learns."""
    from stepdown.local.pretrained import opened, read_directory
    from stepdown.local.tune import _let_learn
    from stepdown.training.tuning import Tuning

    root = tmp_path_factory.mktemp("halves")
    with open_workspace(root / "w") as workspace:
        adopt.adopt(workspace, make_gguf(root / "small.gguf"))
        base = opened(read_directory(workspace.root / disk.FOLDER / "small"), plain=True)
    _let_learn(base.model, Tuning("small", layers=1, rank=2))
    return base.model


TOKENS = st.lists(st.integers(3, 250), min_size=1, max_size=12)


@given(
    beginning=st.lists(st.integers(3, 250), max_size=20),
    rows=st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=4),
    others=st.integers(0, 12),
    odd=st.booleans(),
)
def test_loss_and_gradient_are_those_of_the_whole_model(
    model: Any, beginning: Sequence[int], rows: Sequence[tuple[list[int], list[int]]], others: int, odd: bool
) -> None:
    import mlx.core as mx
    from mlx.nn.utils import value_and_grad

    from stepdown.local.checkpoint import flat
    from stepdown.local.dataset import TokenRecord
    from stepdown.local.halves import Halves, beginnings, collate, shared

    lessons = [TokenRecord([*beginning, *prompt, *answer], len(beginning) + len(prompt)) for prompt, answer in rows]
    # What is trained on besides decides what is read once, and must decide nothing else; one may begin as no other does.
    besides = [TokenRecord([*beginning, 4 + each, 5, 6], len(beginning) + 2) for each in range(others)]
    every_lesson = [*([TokenRecord([251, 252, 253], 2)] if odd else []), *lessons, *besides]
    halves = Halves(model, every_lesson, whole=False, together=True)
    loss, gradient = value_and_grad(model, halves.loss)(halves.batch(lessons), halves.states(lessons))
    whole = Halves(model, lessons, whole=False, together=False)
    whole._upper = whole._lower = None
    expected, reference = value_and_grad(model, whole.loss)(collate(lessons, whole=False), None)

    assert halves.parted
    read_once, least = beginnings(every_lesson), shared(lessons)
    assert halves.beginning(lessons) in {each for each in read_once if len(each) <= least} | {()}
    assert len(halves.beginning(lessons)) >= shared(every_lesson)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)
    one, other = flat(gradient), flat(reference)
    assert one.keys() == other.keys()
    assert all(mx.allclose(one[name], other[name], rtol=1e-2, atol=1e-3).item() for name in one)


@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(2, 50),
    st.sampled_from([0.0, 1.0, 1e4]),
    st.integers(0, 2**30),
)
def test_the_loss_and_its_gradient_are_those_that_mlx_gives(
    rows: int, places: int, vocab: int, size: float, seed: int
) -> None:
    import mlx.core as mx
    import mlx.nn as nn

    from stepdown.local.entropy import cross_entropy

    mx.random.seed(seed)
    scores, targets = mx.random.normal((rows, places, vocab)) * size, mx.random.randint(0, vocab, (rows, places))
    weights = mx.random.uniform(shape=(rows, places))
    ours, mine = mx.value_and_grad(lambda given: (cross_entropy(given, targets) * weights).sum())(scores)
    theirs, its = mx.value_and_grad(lambda given: (nn.losses.cross_entropy(given, targets) * weights).sum())(scores)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4, abs=1e-4)
    assert mx.allclose(mine, its, rtol=1e-4, atol=1e-5).item()


def test_a_model_that_answers_otherwise_in_halves_is_taken_as_a_whole(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepdown.local import halves
    from stepdown.local.dataset import TokenRecord

    lessons: Sequence[TokenRecord] = [TokenRecord([5, 6, 7, 8, 9, 10], 4), TokenRecord([5, 6, 7, 11, 9, 10], 4)]
    assert halves.Halves(model, lessons, whole=False, together=True).beginning(lessons) == (5, 6, 7)
    # Rows that do not see what they begin with.
    monkeypatch.setattr(
        halves.Beginning, "update_and_fetch", lambda self, k, v: (setattr(self, "kept", (k, v)), (k, v))[1]
    )
    blind = halves.Halves(model, lessons, whole=False, together=True)
    assert (blind.beginning(lessons), blind.parted) == ((), True)


def test_what_most_lessons_begin_with_is_read_once_though_some_begin_otherwise() -> None:
    from stepdown.local.dataset import TokenRecord
    from stepdown.local.halves import beginnings

    early = [TokenRecord([1, 2, 3, 9, each, 7, 7], 6) for each in range(10, 12)]
    late = [TokenRecord([1, 2, 4, 5, 6, each, 7, 7], 7) for each in range(10, 30)]
    assert beginnings([*early, *late]) == [(1, 2, 4, 5, 6), (1, 2)]
    assert beginnings(late) == [(1, 2, 4, 5, 6)]
    assert beginnings(early[:1]) == [(1, 2, 3, 9, 10)], "the token before an answer is each record's own"
