"""The two places of a block that are full of exponentials, computed where those are fast.

A gate is an exponential for each number of its width, attention one for each pair of tokens that see each other. mlx's CPU
backend takes one number at a time; numpy takes as many as a register holds. Measured on four records of 95 tokens through a
block of 576 numbers: 14.5 ms and 16.8 ms of 67 there, a third of that here. On a GPU mlx's own is used.
"""

# mypy: allow-untyped-calls, allow-untyped-decorators

import sys
from functools import lru_cache
from typing import Any, cast

import mlx.core as mx
import numpy as np

LEAST = 1 << 13
"""Exponentials; with fewer of them, going to numpy and back takes as long."""

_BARRED = np.float32(-1e30)  # What may not be seen; no infinity, or a row that sees nothing would be no number.


def install(model: Any) -> None:
    """Let the blocks of a model of mlx-lm's compute so, wherever they use its two functions by their names."""
    from mlx_lm.models import activations, base

    for name, own, ours in (
        ("swiglu", activations.swiglu, swiglu),
        ("scaled_dot_product_attention", base.scaled_dot_product_attention, attention),
    ):
        for module in {type(part).__module__ for _, part in model.named_modules()}:
            if getattr(sys.modules[module], name, None) is own:
                setattr(sys.modules[module], name, ours)


def swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """Return ``silu(gate) * x``."""
    if gate.size < LEAST or gate.dtype != mx.float32:
        return gate * mx.sigmoid(gate) * x
    return cast("mx.array", _gated(gate, x))


@mx.custom_function
def _gated(gate: mx.array, x: mx.array) -> mx.array:
    share = _sigmoid(gate)
    share *= np.asarray(gate)
    share *= np.asarray(x)
    return mx.array(share)


@_gated.vjp
def _back(primals: tuple[mx.array, mx.array], cotangent: mx.array, _output: mx.array) -> tuple[mx.array, mx.array]:
    gate, x, given = (np.asarray(each) for each in (*primals, cotangent))
    share = _sigmoid(primals[0])
    through = share * gate
    # The slope of g s(g) is s + g s (1 - s).
    slope = share - share * through
    slope += through
    slope *= given
    slope *= x
    through *= given
    return mx.array(slope), mx.array(through)


def _sigmoid(given: mx.array) -> "np.ndarray":
    share: np.ndarray = np.negative(np.asarray(given))
    with np.errstate(over="ignore"):  # Endless is what it should be: one by that is nothing.
        np.exp(share, out=share)
    share += 1
    np.reciprocal(share, out=share)
    return share


def attention(
    queries: mx.array, keys: mx.array, values: mx.array, cache: Any, scale: float, mask: Any, sinks: Any = None
) -> mx.array:
    """Return what queries see, as mlx-lm's function of that name in `mlx_lm.models.base` does."""
    rows, heads, length, _ = queries.shape
    groups, width = keys.shape[1], keys.shape[2]
    barred = _barred(mask, length, width)
    few = rows * heads * length * width < LEAST or queries.dtype != mx.float32
    if few or barred is None or sinks is not None or hasattr(cache, "bits"):
        from mlx_lm.models.base import scaled_dot_product_attention

        return mx.array(scaled_dot_product_attention(queries, keys, values, cache, scale, mask, sinks))
    # The heads of a group see the same keys, and are one product.
    grouped = (queries * scale).reshape(rows, groups, heads // groups * length, -1)
    weights = _softmax((grouped @ keys.swapaxes(-1, -2)).reshape(rows, groups, -1, length, width), barred)
    seen = weights.reshape(rows, groups, -1, width) @ values
    return seen.reshape(rows, heads, length, -1)


def _barred(mask: Any, length: int, width: int) -> "np.ndarray | None":
    """Return what may not be seen, (rows or 1, 1, 1, length, width); None for a mask of a form that is not known here."""
    if mask is None:
        return _NOTHING
    if isinstance(mask, str):
        return _later(length, width) if mask == "causal" else None
    if mask.dtype != mx.bool_ or mask.ndim not in (2, 4) or (mask.ndim == 4 and mask.shape[1] != 1):
        return None
    return ~np.asarray(mask).reshape(-1, 1, 1, *mask.shape[-2:])


_NOTHING = np.zeros((1, 1, 1, 1, 1), bool)


@lru_cache(maxsize=64)
def _later(length: int, width: int) -> "np.ndarray":
    return np.triu(np.ones((length, width), bool), 1 + width - length).reshape(1, 1, 1, length, width)


def _softmax(scores: mx.array, barred: "np.ndarray") -> mx.array:
    """Return the shares of (rows, groups, heads, length, width), nothing of what is barred."""

    @mx.custom_function
    def there(scores: mx.array) -> mx.array:
        share = np.array(scores)
        if barred is not _NOTHING:
            np.copyto(share, _BARRED, where=barred)
        share -= share.max(-1, keepdims=True)
        np.exp(share, out=share)
        share /= share.sum(-1, keepdims=True)
        return mx.array(share)

    @there.vjp
    def back(_primals: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
        share, given = np.asarray(output), np.array(cotangent)
        given -= np.einsum("...i,...i->...", given, share)[..., None]
        given *= share
        return mx.array(given)

    return cast("mx.array", there(scores))
