"""A model in two halves: the blocks that stay as they are, and those that learn.

What the frozen half makes of a record is the same at every step, so it is computed once. How records begin, in the words of
the template and of the prompt, is read once for all that begin so: by the frozen half for ever, by the other once a step. And
only the tokens of an answer reach the output matrix, which for a small model is most of the work. Whether a model can be taken
apart like this is tried, not believed: the halves must give the scores of the whole.
"""

# mypy: allow-untyped-calls
# mlx.nn is only partly typed.

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import mlx.core as mx

from stepdown.local.checkpoint import flat
from stepdown.local.dataset import TokenRecord
from stepdown.local.entropy import cross_entropy

KEPT = 1 << 30
"""Bytes of the frozen half's states that are kept; what is over is computed at every step."""

_CLOSE = 2e-3  # Scores are sums of hundreds of products; taken apart they round otherwise.


@dataclass(frozen=True, slots=True)
class Batch:
    """Records side by side, without what they begin with, filled up on the right, where a causal model does not look.

    Attributes:
        tokens: (rows, length).
        places: Where the tokens stand after which one comes that counts, row after row: those tokens alone reach the output
            matrix, and nothing that rows are filled up with.
        targets: Those that come, as many.
        beginning: What every row begins with, left out of `tokens`.
    """

    tokens: mx.array
    places: mx.array
    targets: mx.array
    beginning: tuple[int, ...] = ()

    def taken(self, states: mx.array) -> mx.array:
        """Return those of (rows, length, width) after which a token comes that counts, (places, width)."""
        return states.reshape(-1, states.shape[-1])[self.places]


def shared(records: Sequence[TokenRecord]) -> int:
    """Return how many first tokens all records have in common, as far as none of them counts or predicts one that does."""
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*(record.tokens for record in records), strict=False))
    return min(sum(1 for _ in alike), min(record.start for record in records) - 1)


def beginnings(records: Sequence[TokenRecord]) -> list[tuple[int, ...]]:
    """Return what records begin with, the longer first: what all do, and what most do where reading that once saves more.

    A history has many records of one piece of knowledge, and a few from before it was learned.
    """
    group, best, most = list(records), tuple[int, ...](), -1
    while 2 * len(group) > len(records):
        length = shared(group)
        if length * len(group) > most:
            best, most = tuple(group[0].tokens[:length]), length * len(group)
        # A record whose last token that may be read for others comes here can be in no smaller group.
        following = Counter(record.tokens[length] for record in group if record.start - 1 > length)
        token = max(following, key=following.__getitem__, default=None)
        group = [record for record in group if record.start - 1 > length and record.tokens[length] == token]
    every = tuple(records[0].tokens[: shared(records)])
    return [best, every] if len(best) > len(every) else [every]


def collate(records: Sequence[TokenRecord], *, whole: bool, beginning: tuple[int, ...] = ()) -> Batch:
    """Lay records side by side.

    Args:
        records: At least one.
        whole: Whether prompts count too.
        beginning: First tokens of each, which are left out; none where prompts count.
    """
    skipped = len(beginning)
    length = max(len(record.tokens) for record in records) - 1 - skipped
    tokens, places, targets = list[list[int]](), list[int](), list[int]()
    for row, record in enumerate(records):
        start = 1 if whole else record.start
        own = record.tokens[skipped:-1]
        tokens.append([*own, *[0] * (length - len(own))])
        places += range(row * length + start - 1 - skipped, row * length + len(own))
        targets += record.tokens[start:]
    return Batch(mx.array(tokens), mx.array(places), mx.array(targets), beginning)


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
        records: At least one; the halves are tried on the first that begins so, for each beginning.
        whole: Whether prompts count too.
        together: Whether what records begin with is read once for all of them; not where prompts count, nor where blocks are
            computed again on the way back.
    """

    def __init__(self, model: Any, records: Sequence[TokenRecord], *, whole: bool, together: bool) -> None:
        self.model = model
        self._whole = whole
        self._states: dict[tuple[tuple[int, ...], int], mx.array] = {}
        self._bytes = 0
        self._lower: Any = None
        self._upper: Any = None
        self._beginnings = beginnings(records) if together and not whole else [()]
        if not self._all_tried(records):
            self._beginnings = [()]
            if not self._all_tried(records):
                self._lower = self._upper = None

    @property
    def parted(self) -> bool:
        """Whether the model could be taken apart."""
        return self._upper is not None

    def beginning(self, records: Sequence[TokenRecord]) -> tuple[int, ...]:
        """Return the longest beginning that is read once for all of these."""
        alike = (each for each in self._beginnings if all(_begins(record, each) for record in records))
        return next(alike, ())

    def batch(self, records: Sequence[TokenRecord]) -> Batch:
        """Lay records side by side as `scores` wants them."""
        return collate(records, whole=self._whole, beginning=self.beginning(records))

    def _all_tried(self, records: Sequence[TokenRecord]) -> bool:
        """Take the model apart, and tell whether its halves say what the whole does, from each beginning."""
        return all(
            self._tried(next(record for record in records if _begins(record, each))) for each in self._beginnings
        )

    def _tried(self, record: TokenRecord) -> bool:
        """Take the model apart, and tell whether its halves say what the whole does."""
        whole = self.model(mx.array([record.tokens[:-1]]))[0, (0 if self._whole else record.start - 1) :]
        try:
            self._split()
            both = self.scores(self.batch([record, record]), self.states([record, record]))
            parted = both[both.shape[0] // 2 :]
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
        self._begun = {each: self._begin(each) for each in self._beginnings if each and self._lower is not None}

    def _begin(self, beginning: tuple[int, ...]) -> tuple[mx.array, list[Beginning]]:
        """Return what the frozen half makes of a beginning, and what its blocks keep of it for what follows."""
        caches = _caches(self._lower)
        states = mx.stop_gradient(self._lower(mx.array([beginning]), cache=caches))
        mx.eval(states, [each.kept for each in caches])
        return states, caches

    def states(self, records: Sequence[TokenRecord]) -> mx.array | None:
        """Return what the frozen half makes of a batch, (rows, length, width); None where there is no such half.

        Each record is read alone, so that its states do not depend on its neighbours, and are the same after a resume.
        """
        if self._lower is None:
            return None
        beginning = self.beginning(records)
        states = [self._state(record, beginning) for record in records]
        length = max(state.shape[0] for state in states)
        return mx.stack([mx.pad(state, [(0, length - state.shape[0]), (0, 0)]) for state in states])

    def _state(self, record: TokenRecord, beginning: tuple[int, ...]) -> mx.array:
        key = tuple(record.tokens), len(beginning)
        if key in self._states:
            return self._states[key]
        tokens = mx.array([record.tokens[len(beginning) : -1]])
        caches = self._begun[beginning][1] if beginning else None
        state: mx.array = mx.stop_gradient(self._lower(tokens, cache=caches)[0])
        mx.eval(state)
        if self._bytes + state.nbytes <= KEPT:
            self._bytes += state.nbytes
            self._states[key] = state
        return state

    def scores(self, batch: Batch, states: mx.array | None) -> mx.array:
        """Return the scores of what comes after a batch's places, (places, vocab)."""
        if self._upper is None:
            return batch.taken(self.model(batch.tokens))
        caches = None
        if batch.beginning:
            caches = _caches(self._upper)
            begun = self._begun.get(batch.beginning)
            given = {} if begun is None else {"input_embeddings": begun[0]}
            self._upper(mx.array([batch.beginning]), cache=caches, **given)
        own = {} if states is None else {"input_embeddings": states}
        return self._head(batch.taken(self._upper(batch.tokens, cache=caches, **own)))

    def loss(self, batch: Batch, states: mx.array | None) -> mx.array:
        """Return the mean cross entropy of the tokens that count, in nats."""
        return cross_entropy(self.scores(batch, states).astype(mx.float32), batch.targets).mean()


def _begins(record: TokenRecord, beginning: tuple[int, ...]) -> bool:
    """Tell whether a record begins so, and nothing that counts comes before its end."""
    return record.start > len(beginning) and tuple(record.tokens[: len(beginning)]) == beginning


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
