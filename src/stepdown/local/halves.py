"""A model in two halves: the blocks that stay as they are, and those that learn.

What the frozen half makes of a record is the same at every step, so it is computed once. And only the tokens of an answer
reach the output matrix, which for a small model is most of the work. Whether a model can be taken apart like this is tried, not
believed: the halves must give the scores of the whole.
"""

# mypy: allow-untyped-calls
# mlx.nn is only partly typed.

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from stepdown.local.checkpoint import flat
from stepdown.local.dataset import Lesson

KEPT = 1 << 30
"""Bytes of the frozen half's states that are kept; what is over is computed at every step."""

_CLOSE = 2e-3  # Scores are sums of hundreds of products; taken apart they round otherwise.


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons side by side, filled up on the right, where a causal model does not look.

    Attributes:
        tokens: (rows, length).
        places: Columns after which a token that counts comes, (rows, most).
        targets: Those tokens, (rows, most).
        weights: 1 where there is one, (rows, most).
    """

    tokens: mx.array
    places: mx.array
    targets: mx.array
    weights: mx.array


def collate(lessons: Sequence[Lesson], *, whole: bool) -> Batch:
    """Lay lessons side by side.

    Args:
        lessons: At least one.
        whole: Whether prompts count too.
    """
    length = max(len(lesson.tokens) for lesson in lessons) - 1
    starts = [1 if whole else lesson.start for lesson in lessons]
    counts = [len(lesson.tokens) - start for lesson, start in zip(lessons, starts, strict=True)]
    most = max(counts)
    tokens, places, targets, weights = [], [], [], []
    for lesson, start, count in zip(lessons, starts, counts, strict=True):
        gap, spare = length + 1 - len(lesson.tokens), most - count
        tokens.append(lesson.tokens[:-1] + [0] * gap)
        places.append([*range(start - 1, start - 1 + count), *[0] * spare])
        targets.append(lesson.tokens[start:] + [0] * spare)
        weights.append([1.0] * count + [0.0] * spare)
    return Batch(mx.array(tokens), mx.array(places), mx.array(targets), mx.array(weights))


class Halves:
    """A model that learns, and the scores of a batch's answers.

    Args:
        model: Frozen, but for what learns.
        trial: A lesson to try the halves on.
    """

    def __init__(self, model: Any, trial: Lesson) -> None:
        self.model = model
        self._states: dict[tuple[int, ...], mx.array] = {}
        self._bytes = 0
        self._lower: Any = None
        self._upper: Any = None
        whole = model(mx.array([trial.tokens[:-1]]))[0, trial.start - 1 :]
        try:
            self._split()
            parted = self.scores(collate([trial], whole=False), self.states([trial]))[0]
            apart = parted.shape == whole.shape and mx.allclose(parted, whole, rtol=_CLOSE, atol=_CLOSE).item()
        except Exception:  # A model of another build: taken as a whole, more slowly.
            apart = False
        if not apart:
            self._lower = self._upper = None

    @property
    def parted(self) -> bool:
        """Whether the model could be taken apart."""
        return self._upper is not None

    def _split(self) -> None:
        inner = self.model.model
        learning = _learning(self.model)
        first = min(learning) if learning is not None else 0
        self._upper = _with(inner, inner.layers[first:], inner.norm)
        self._lower = _with(inner, inner.layers[:first], lambda hidden: hidden) if first else None
        tied = "lm_head" not in self.model
        self._head: Callable[[mx.array], mx.array] = inner.embed_tokens.as_linear if tied else self.model.lm_head

    def states(self, lessons: Sequence[Lesson]) -> mx.array | None:
        """Return what the frozen half makes of a batch, (rows, length, width); None where there is no such half.

        Each record is read alone, so that its states do not depend on its neighbours, and are the same after a resume.
        """
        if self._lower is None:
            return None
        states = [self._state(lesson) for lesson in lessons]
        length = max(state.shape[0] for state in states)
        return mx.stack([mx.pad(state, [(0, length - state.shape[0]), (0, 0)]) for state in states])

    def _state(self, lesson: Lesson) -> mx.array:
        key = tuple(lesson.tokens)
        if key in self._states:
            return self._states[key]
        state: mx.array = mx.stop_gradient(self._lower(mx.array([lesson.tokens[:-1]]))[0])
        mx.eval(state)
        if self._bytes + state.nbytes <= KEPT:
            self._bytes += state.nbytes
            self._states[key] = state
        return state

    def scores(self, batch: Batch, states: mx.array | None) -> mx.array:
        """Return the scores of what comes after a batch's places, (rows, most, vocab)."""
        if self._upper is None:
            every = self.model(batch.tokens)
            return mx.take_along_axis(every, batch.places[..., None], axis=1)
        own = {} if states is None else {"input_embeddings": states}
        hidden = self._upper(batch.tokens, **own)
        return self._head(mx.take_along_axis(hidden, batch.places[..., None], axis=1))

    def loss(self, batch: Batch, states: mx.array | None) -> mx.array:
        """Return the mean cross entropy of the tokens that count, in nats."""
        scores = self.scores(batch, states).astype(mx.float32)
        each = nn.losses.cross_entropy(scores, batch.targets)
        return (each * batch.weights).sum() / batch.weights.sum()


def _learning(model: Any) -> set[int] | None:
    """Return the numbers of the blocks that learn; None when something outside of them does."""
    blocks = set()
    for name in flat(model.trainable_parameters()):
        parts = name.split(".")
        if parts[:2] != ["model", "layers"]:
            return None
        blocks.add(int(parts[2]))
    return blocks


def _with(inner: Any, layers: Sequence[Any], norm: Any) -> Any:
    """Return the same model with other blocks and another last step; what it is made of is shared."""
    other = copy(inner)
    other.layers = list(layers)
    other.norm = norm
    return other
