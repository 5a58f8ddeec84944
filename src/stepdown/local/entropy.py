"""The cross entropy of a few tokens among very many, computed where exponentials are fast.

A vocabulary of 49,152 is an exponential for each of its tokens at each place that counts, there and back. mlx's CPU backend
takes one number at a time; numpy takes as many as a register holds. On a GPU nothing is gained, and copies would cost: there
mlx's own is used.
"""

# mypy: allow-untyped-calls, allow-untyped-decorators

from typing import cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from stepdown.local.pretrained import on_cpu


def cross_entropy(scores: mx.array, targets: mx.array) -> mx.array:
    """Return the cross entropy at each place, in nats.

    Args:
        scores: (..., vocab), float32.
        targets: Tokens, (...).
    """
    return cast("mx.array", _on_cpu(scores, targets) if on_cpu() else nn.losses.cross_entropy(scores, targets))


@mx.custom_function
def _on_cpu(scores: mx.array, targets: mx.array) -> mx.array:
    shifted, places = _shifted(scores), np.array(targets)[..., None]
    right = np.take_along_axis(shifted, places, -1)[..., 0].copy()
    return mx.array(np.log(np.exp(shifted, out=shifted).sum(-1)) - right)


@_on_cpu.vjp
def _back(primals: tuple[mx.array, mx.array], cotangent: mx.array, _output: mx.array) -> tuple[mx.array, mx.array]:
    scores, targets = primals
    share = _shifted(scores)
    np.exp(share, out=share)
    share /= share.sum(-1, keepdims=True)
    places = np.array(targets)[..., None]
    np.put_along_axis(share, places, np.take_along_axis(share, places, -1) - 1, -1)
    share *= np.array(cotangent)[..., None]
    return mx.array(share), mx.zeros(targets.shape)


def _shifted(scores: mx.array) -> "np.ndarray":
    """Return a copy whose largest number is 0 at each place, so that no exponential overflows."""
    copied = np.array(scores)
    copied -= copied.max(-1, keepdims=True)
    return copied
