"""A batch of prompts that a net reads at once, and goes on reading a token at a time."""

import random
from collections.abc import Sequence

import mlx.core as mx

from stepdown.local.model import Cache, Llama, Mask, causal


class Reading:
    """What the net has read so far, row by row.

    Prompts are filled up on the left, so that every row goes on in the same column. The filling is masked and each row
    counts positions from its own first token: a row's scores do not depend on its neighbours.
    """

    def __init__(self, net: Llama, layers: int) -> None:
        self._net = net
        self._caches = [Cache() for _ in range(layers)]
        self._gaps = mx.array([0])
        self._even = True
        self._length = 0

    def begin(self, prompts: Sequence[Sequence[int]]) -> mx.array:
        """Read all prompts and return the scores of what comes next, (rows, vocab)."""
        self._length = max(map(len, prompts))
        gaps = [self._length - len(prompt) for prompt in prompts]
        self._even, self._gaps = not any(gaps), mx.array(gaps)
        filled = mx.array([[0] * gap + list(prompt) for gap, prompt in zip(gaps, prompts, strict=True)])
        if self._even:
            return self._scores(filled, "causal", 0)
        return self._scores(filled, causal(self._gaps, self._length), -self._gaps)

    def advance(self, tokens: mx.array) -> mx.array:
        """Read one more token per row, (rows,), and return the scores of what comes next, (rows, vocab)."""
        position = self._length
        self._length += 1
        column = tokens[:, None]
        if self._even:
            return self._scores(column, None, position)
        own = (mx.arange(self._length) >= self._gaps[:, None])[:, None, None]
        return self._scores(column, own, position - self._gaps)

    def _scores(self, tokens: mx.array, mask: Mask, offset: mx.array | int) -> mx.array:
        return self._net.logits(self._net.hidden(tokens, mask, offset, self._caches, last=1)[:, 0])


def choose(scores: mx.array, temperature: float, draws: Sequence[random.Random]) -> mx.array:
    """Choose one token per row, (rows,); nothing is computed before somebody looks at it.

    Args:
        scores: (rows, vocab).
        temperature: 0 takes the likeliest; above, one number from each row's own generator decides, so a draw is the
            same alone and in a batch.
        draws: One generator per row.
    """
    if temperature == 0:
        return mx.argmax(scores, axis=-1)
    share = mx.cumsum(mx.softmax(scores / temperature, axis=-1), axis=-1)
    drawn = mx.array([[draw.random()] for draw in draws])
    # Rounding may leave the last share a little below 1; argmax of nothing true would then be token 0.
    return mx.argmax(share >= mx.minimum(drawn, share[:, -1:]), axis=-1)
