"""What numpy computes in a block's place is what mlx computes, there and back."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(find_spec("mlx_lm") is None, reason="the blocks are mlx-lm's")


@pytest.fixture(autouse=True)
def _however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepdown.local import exponentials
    from stepdown.local.pretrained import import_mlx_lm

    import_mlx_lm()
    monkeypatch.setattr(exponentials, "LEAST", 1)


def same(ours: Callable[..., Any], theirs: Callable[..., Any], *given_: Any) -> bool:
    """Tell whether two functions give the same, and the same slope in each of what they are given."""
    import mlx.core as mx

    both = [
        mx.value_and_grad(lambda *a, of=each: mx.sin(of(*a)).sum(), argnums=tuple(range(len(given_))))(*given_)
        for each in (ours, theirs)
    ]
    (one, slopes), (other, others) = both
    return bool(mx.allclose(one, other, rtol=1e-3, atol=1e-4).item()) and all(
        mx.allclose(mine, its, rtol=1e-2, atol=1e-4).item() for mine, its in zip(slopes, others, strict=True)
    )


@given(
    rows=st.integers(1, 3),
    heads=st.sampled_from([(1, 1), (6, 3), (4, 4), (9, 3)]),
    length=st.integers(1, 6),
    before=st.integers(0, 5),
    mask=st.sampled_from(["nothing", "causal", "one for all", "each row's"]),
    size=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**30),
)
def test_attention_sees_what_mlx_lets_it_see(
    rows: int, heads: tuple[int, int], length: int, before: int, mask: str, size: float, seed: int
) -> None:
    import mlx.core as mx

    from stepdown.local.exponentials import attention

    mx.random.seed(seed)
    width = length + before
    queries = mx.random.normal((rows, heads[0], length, 8)) * size
    keys, values = mx.random.normal((rows, heads[1], width, 8)), mx.random.normal((rows, heads[1], width, 8))
    seen = mx.random.uniform(shape=(rows, 1, length, width)) > 0.4
    seen = seen | (mx.arange(width) == 0)  # Who sees nothing is nobody's question.
    masks = {"nothing": None, "causal": "causal", "one for all": seen[0, 0], "each row's": seen}

    assert same(
        lambda q, k, v: attention(q, k, v, None, 0.35, masks[mask]),
        lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=0.35, mask=masks[mask]),
        queries,
        keys,
        values,
    )


@given(st.integers(1, 40), st.sampled_from([0.1, 1.0, 200.0]), st.integers(0, 2**30))
def test_a_gate_opens_as_far_as_mlx_opens_it(width: int, size: float, seed: int) -> None:
    import mlx.core as mx
    import mlx.nn as nn

    from stepdown.local.exponentials import swiglu

    mx.random.seed(seed)
    gate, x = mx.random.normal((2, width)) * size, mx.random.normal((2, width))
    assert same(swiglu, lambda gate, x: nn.silu(gate) * x, gate, x)


def test_what_is_not_known_here_is_mlx_lms_to_compute() -> None:
    import mlx.core as mx

    from stepdown.local.exponentials import attention

    drawn = mx.random.normal((1, 2, 3, 8))
    added = mx.zeros((3, 3))  # A mask that is added, and says nothing in words.
    ours = attention(drawn, drawn, drawn, None, 0.35, added)
    assert mx.allclose(ours, attention(drawn, drawn, drawn, None, 0.35, None), atol=1e-5).item()
    half = drawn.astype(mx.float16)
    assert attention(half, half, half, None, 0.35, "causal").dtype == mx.float16


def test_blocks_of_a_model_compute_so_once_it_is_told_to() -> None:
    from mlx_lm.models import llama, qwen2

    from stepdown.local import exponentials

    shape = {
        "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16, "num_attention_heads": 2,
        "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "vocab_size": 8,
    }  # fmt: skip
    for family, name in ((llama, "llama"), (qwen2, "qwen2")):
        model = family.Model(family.ModelArgs(model_type=name, **shape))
        for _ in range(2):
            exponentials.install(model)
        assert (family.swiglu, family.scaled_dot_product_attention) == (
            exponentials.swiglu,
            exponentials.attention,
        )
