"""A model in two halves: the blocks that stay as they are, and those that learn.

What the frozen half makes of a record is the same at every step, so it is computed once. How all records begin, in the words
of the template and of the prompt, is read once for all of them: by the frozen half for ever, by the other once a step. And only
the tokens of an answer reach the output matrix, which for a small model is most of the work. Whether a model can be taken apart
like this is tried, not believed: the halves must give the scores of the whole.
"""

# mypy: allow-untyped-calls
# mlx.nn is only partly typed.

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import mlx.core as mx

from stepdown.local.checkpoint import flat
from stepdown.local.dataset import Lesson
from stepdown.local.entropy import cross_entropy

KEPT = 1 << 30
"""Bytes of the frozen half's states that are kept; what is over is computed at every step."""

_CLOSE = 2e-3  # Scores are sums of hundreds of products; taken apart they round otherwise.


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons side by side, without what all of them begin with, filled up on the right, where a causal model does not look.

    Attributes:
        tokens: (rows, length).
        columns: Columns after which a token that counts comes, (rows, most).
        targets: Those tokens, (rows, most).
        weights: 1 where there is one, (rows, most).
    """

    tokens: mx.array
    columns: mx.array
    targets: mx.array
    weights: mx.array


def shared(lessons: Sequence[Lesson]) -> int:
    """Return how many first tokens all lessons have in common, as far as none of them counts or predicts one that does."""
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*(lesson.tokens for lesson in lessons), strict=False))
    return min(sum(1 for _ in alike), min(lesson.start for lesson in lessons) - 1)


def collate(lessons: Sequence[Lesson], *, whole: bool, skipped: int = 0) -> Batch:
    """Lay lessons side by side.

    Args:
        lessons: At least one.
        whole: Whether prompts count too.
        skipped: First tokens of each that are left out; none where prompts count.
    """
    length = max(len(lesson.tokens) for lesson in lessons) - 1 - skipped
    starts = [1 if whole else lesson.start for lesson in lessons]
    counts = [len(lesson.tokens) - start for lesson, start in zip(lessons, starts, strict=True)]
    most = max(counts)
    tokens, columns, targets, weights = [], [], [], []
    for lesson, start, count in zip(lessons, starts, counts, strict=True):
        gap, spare, first = length + 1 + skipped - len(lesson.tokens), most - count, start - 1 - skipped
        tokens.append(lesson.tokens[skipped:-1] + [0] * gap)
        columns.append([*range(first, first + count), *[0] * spare])
        targets.append(lesson.tokens[start:] + [0] * spare)
        weights.append([1.0] * count + [0.0] * spare)
    return Batch(mx.array(tokens), mx.array(columns), mx.array(targets), mx.array(weights))


class Beginning:
    """A block's keys and values of what all rows begin with, in the place of a cache of mlx-lm's.

    The first sequence that is read through it is the beginning; every later one is a batch of rows that go on from there.
    """

    def __init__(self) -> None:
        self.kept: tuple[mx.array, mx.array] | None = None

    @property
    def offset(self) -> int:
        """Tokens read before."""
        return 0 if self.kept is None else int(self.kept[0].shape[2])

    def make_mask(self, _length: int, **_: Any) -> str:
        """Return the mask by its name: as mlx has it, a row's last query sees everything."""
        return "causal"

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Return the keys and values that a row attends to, each (rows, heads, length, width)."""
        if self.kept is None:
            self.kept = keys, values
            return keys, values
        before = (mx.broadcast_to(each, (keys.shape[0], *each.shape[1:])) for each in self.kept)
        first, second = (mx.concatenate([*pair], axis=2) for pair in zip(before, (keys, values), strict=True))
        return first, second


class Halves:
    """A model that learns, and the scores of a batch's answers.

    Args:
        model: Frozen, but for what learns.
        lessons: At least one; the halves are tried on the first.
        whole: Whether prompts count too.
        together: Whether what all lessons begin with is read once for all of them; not where prompts count, nor where blocks
            are computed again on the way back.
    """

    def __init__(self, model: Any, lessons: Sequence[Lesson], *, whole: bool, together: bool) -> None:
        self.model = model
        self._whole = whole
        self._states: dict[tuple[int, ...], mx.array] = {}
        self._bytes = 0
        self._lower: Any = None
        self._upper: Any = None
        self._beginning = lessons[0].tokens[: shared(lessons) if together and not whole else 0]
        if not self._tried(lessons[0]):
            self._beginning = []
            if not self._tried(lessons[0]):
                self._lower = self._upper = None

    @property
    def parted(self) -> bool:
        """Whether the model could be taken apart."""
        return self._upper is not None

    @property
    def skipped(self) -> int:
        """Tokens of the beginning that is read once for all."""
        return len(self._beginning)

    def batch(self, lessons: Sequence[Lesson]) -> Batch:
        """Lay lessons side by side as `scores` wants them."""
        return collate(lessons, whole=self._whole, skipped=self.skipped)

    def _tried(self, lesson: Lesson) -> bool:
        """Take the model apart, and tell whether its halves say what the whole does."""
        whole = self.model(mx.array([lesson.tokens[:-1]]))[0, (0 if self._whole else lesson.start - 1) :]
        try:
            self._split()
            parted = self.scores(self.batch([lesson, lesson]), self.states([lesson, lesson]))[1]
            return parted.shape == whole.shape and bool(mx.allclose(parted, whole, rtol=_CLOSE, atol=_CLOSE).item())
        except Exception:  # A model of another build: taken as a whole, more slowly.
            return False

    def _split(self) -> None:
        inner = self.model.model
        learning = _learning(self.model)
        first = min(learning) if learning is not None else 0
        self._states, self._bytes = {}, 0
        self._upper = _with(inner, inner.layers[first:], inner.norm)
        self._lower = _with(inner, inner.layers[:first], lambda hidden: hidden) if first else None
        tied = "lm_head" not in self.model
        self._head: Callable[[mx.array], mx.array] = inner.embed_tokens.as_linear if tied else self.model.lm_head
        self._begun: mx.array | None = None
        self._lower_caches = _caches(self._lower) if self._beginning else None
        if self._lower is not None and self._beginning:
            self._begun = mx.stop_gradient(self._lower(mx.array([self._beginning]), cache=self._lower_caches))
            mx.eval(self._begun, [each.kept for each in self._lower_caches or ()])

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
        tokens = mx.array([lesson.tokens[self.skipped : -1]])
        state: mx.array = mx.stop_gradient(self._lower(tokens, cache=self._lower_caches)[0])
        mx.eval(state)
        if self._bytes + state.nbytes <= KEPT:
            self._bytes += state.nbytes
            self._states[key] = state
        return state

    def scores(self, batch: Batch, states: mx.array | None) -> mx.array:
        """Return the scores of what comes after a batch's columns, (rows, most, vocab)."""
        if self._upper is None:
            every = self.model(batch.tokens)
            return mx.take_along_axis(every, batch.columns[..., None], axis=1)
        caches = None
        if self._beginning:
            caches = _caches(self._upper)
            given = {} if self._begun is None else {"input_embeddings": self._begun}
            self._upper(mx.array([self._beginning]), cache=caches, **given)
        own = {} if states is None else {"input_embeddings": states}
        hidden = self._upper(batch.tokens, cache=caches, **own)
        return self._head(mx.take_along_axis(hidden, batch.columns[..., None], axis=1))

    def loss(self, batch: Batch, states: mx.array | None) -> mx.array:
        """Return the mean cross entropy of the tokens that count, in nats."""
        scores = self.scores(batch, states).astype(mx.float32)
        each = cross_entropy(scores, batch.targets)
        return (each * batch.weights).sum() / batch.weights.sum()


def _caches(half: Any) -> list[Beginning]:
    return [Beginning() for _ in half.layers] if half is not None else []


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
