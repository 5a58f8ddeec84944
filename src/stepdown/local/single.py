"""One reply of a tuned language model, as it grows: what the schema leaves no choice about is read and never chosen."""

# mypy: allow-untyped-calls

import random
from collections.abc import Callable, Sequence
from typing import Any, cast

import mlx.core as mx

from stepdown.errors import LocalTimeout
from stepdown.local.pretrained import Pretrained
from stepdown.local.reading import choose

READ = 64
"""Tokens of a prompt that are read between two looks at the clock."""

_SCORED = 16  # Last tokens of a prompt, read with their scores: one more pass for the last alone would cost more.


class Sampler:
    """How the tokens of one reply are chosen: a sampler of mlx-lm.

    Args:
        temperature: 0 takes the likeliest.
        seed: Of the numbers that are drawn, one for each token.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._draws = random.Random(seed)

    def __call__(self, scores: mx.array) -> mx.array:
        """Return a token, (1,), for log probabilities, (1, vocab)."""
        return choose(scores, self._temperature, [self._draws])

    def skip(self) -> None:
        """Draw for a token that there was no choice about: the next one is drawn as if there had been."""
        self._draws.random()


def read(model: Any, tokens: Sequence[int], expired: Callable[[], bool], cache: list[Any] | None = None) -> list[Any]:
    """Read tokens into a cache, a new one if none is given, and return it.

    Raises:
        LocalTimeout: ``expired`` said yes.
    """
    from mlx_lm.generate import generation_stream
    from mlx_lm.models.cache import make_prompt_cache

    cache = make_prompt_cache(model) if cache is None else cache
    with mx.stream(generation_stream):
        for first in range(0, len(tokens), READ):
            if expired():
                raise LocalTimeout(f"Time was up after {first} tokens of the prompt.")
            model(mx.array([tokens[first : first + READ]]), cache=cache)
            mx.eval([each.state for each in cache])
    return cache


class SingleReply:
    """A reply that grows alone.

    A pass of the model costs much the same for one token as for some: what must follow a token is read along with it. mlx-lm's
    batches have no way to do so, and there it would win nothing.

    Args:
        model: Who answers.
        cache: What is read of the prompt already, for this reply alone; None for nothing.
        sampler: How a token is chosen.
        follower: What holds the reply to a schema, a `local.constraint.Follower`; None for nothing.
        expired: Asked before every pass whether time is up.
    """

    def __init__(
        self,
        model: Pretrained,
        cache: list[Any] | None,
        sampler: Sampler,
        follower: Any,
        expired: Callable[[], bool],
    ) -> None:
        self._model = model
        self._cache = cache
        self._sampler = sampler
        self._follower = follower
        self._expired = expired
        self._output: list[int] = []

    def grow(self, prompt: Sequence[int], limit: int) -> list[int]:
        """Return the tokens of the reply, the one that ends it included, and at most ``limit``.

        Args:
            prompt: What is not read yet; at least one token.
            limit: At least 1.

        Raises:
            LocalTimeout: Time was up.
        """
        self._cache = read(self._model.model, prompt[:-_SCORED], self._expired, self._cache)
        unread = [*prompt[-_SCORED:], *self._forced(limit)]
        while not self._ended(limit):
            token = self._choose(self._scores(unread))
            self._take(token)
            unread = [token, *self._forced(limit)]
        return self._output

    def _ended(self, limit: int) -> bool:
        return len(self._output) >= limit or not self._model.chat.ends.isdisjoint(self._output[-1:])

    def _forced(self, limit: int) -> list[int]:
        """Take whatever must come next, and return it."""
        first = len(self._output)
        while self._follower is not None and self._follower.forced is not None and not self._ended(limit):
            self._take(self._follower.forced)
            self._sampler.skip()
        return self._output[first:]

    def _take(self, token: int) -> None:
        self._output.append(token)
        if self._follower is not None:
            self._follower.take(token)

    def _scores(self, tokens: Sequence[int]) -> mx.array:
        """Read tokens and return the scores of what comes next, (1, vocab)."""
        from mlx_lm.generate import generation_stream

        if self._expired():
            raise LocalTimeout(f"Time was up after {len(self._output)} tokens.")
        with mx.stream(generation_stream):
            scores: mx.array = self._model.model(mx.array([tokens]), cache=self._cache)[:, -1]
            mx.eval(scores)
        return scores

    def _choose(self, scores: mx.array) -> int:
        held = scores if self._follower is None else self._follower.hold(scores)
        # As mlx-lm's batches do before they ask a sampler.
        return cast("int", self._sampler(held - mx.logsumexp(held, axis=-1, keepdims=True)).item())
