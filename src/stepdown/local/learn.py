"""Gradient descent on records: the loss counts completions only."""

# mypy: allow-untyped-calls
# mlx.nn is only partly typed.

import math
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any, cast

import mlx.core as mx
import mlx.optimizers as optim
from mlx.nn.utils import value_and_grad
from mlx.utils import tree_flatten, tree_unflatten

from stepdown.errors import TrainingFailed
from stepdown.local.dataset import TokenRecord, disturb, draws, rehearse
from stepdown.local.model import Llama, causal
from stepdown.training.plan import Plan

_FLOOR = 0.05  # Where the cosine ends, as a share of the peak rate.
_LARGEST_GRADIENT = 1.0  # Norm above which a step is shortened.

Batch = tuple[mx.array, mx.array, mx.array]
"""Tokens (batch, length); columns of filling before them (batch,); weights of the last columns (batch, answers)."""


def learn(net: Llama, records: Sequence[TokenRecord], plan: Plan, vocab: int) -> Iterator[Callable[[], float]]:
    """Train the net in place and yield for every step a function that reads that step's loss; the next is under way then.

    Args:
        net: Changed in place.
        records: At least one.
        plan: Schedule, batch, noise and seed.
        vocab: Size of the tokenizer, from which noise is drawn.
    """
    chance = random.Random(plan.seed)
    optimizer = optim.AdamW(learning_rate=plan.learning_rate, weight_decay=plan.weight_decay, bias_correction=True)
    step = value_and_grad(net, _loss)
    flat = _Flat(net)
    weights, before = flat.join(net.parameters()), None
    for iteration, drawn in enumerate(islice(draws(records, plan.batch, chance), plan.iterations)):
        if iteration % (plan.rehearsals + 1):
            seen = [rehearse(record, vocab, chance) for record in drawn]
        else:
            seen = [disturb(record, plan.prompt_noise, vocab, chance) for record in drawn]
        optimizer.learning_rate = mx.array(rate(plan, iteration))
        loss, gradients = step(net, collate(seen))
        gradients, _ = optim.clip_grad_norm(gradients, _LARGEST_GRADIENT)
        weights = optimizer.apply_gradients({"all": flat.join(gradients)}, {"all": weights})["all"]
        net.update(flat.part(weights))
        # Begun, not awaited: the next step is put together meanwhile. One step ahead and no further, or memory would grow.
        mx.async_eval(weights, optimizer.state, loss)
        if before is not None:
            mx.eval(before)
            yield before.item
        before = loss
    if before is not None:
        yield before.item


class _Flat:
    """All tensors of a net in one: what the optimizer does to each of them it does once, and rounds no differently.

    It looks at one number at a time, and for nets this small the count of its operations is what they cost.
    """

    def __init__(self, net: Llama) -> None:
        tensors = net.tensors()
        self._shapes = {name: tensor.shape for name, tensor in tensors.items()}
        *self._cuts, _ = accumulate(tensor.size for tensor in tensors.values())

    def join(self, tree: Any) -> mx.array:
        """Lay a tree of parameters or gradients end to end."""
        tensors = dict(tree_flatten(tree))
        return mx.concatenate([tensors[name].reshape(-1) for name in self._shapes])

    def part(self, joined: mx.array) -> Any:
        """Return the tree that was joined."""
        parts = zip(self._shapes.items(), mx.split(joined, self._cuts), strict=True)
        return tree_unflatten([(name, part.reshape(shape)) for (name, shape), part in parts])


def mean_loss(net: Llama, records: Sequence[TokenRecord], size: int) -> float | None:
    """Return the mean loss per completion token in nats, without noise; None if there are no records.

    Raises:
        TrainingFailed: It is not a number: the training diverged.
    """
    total, count = 0.0, 0
    for first in range(0, len(records), size):
        batch = collate(records[first : first + size])
        answers = sum(len(record.tokens) - record.start for record in records[first : first + size])
        total, count = total + cast("float", _loss(net, batch).item()) * answers, count + answers
    if not math.isfinite(total):
        raise TrainingFailed("The loss is no longer a number; train with a lower learning rate.")
    return total / count if count else None


def rate(plan: Plan, iteration: int) -> float:
    """Return the learning rate of one step: linear warmup, then half a cosine."""
    if iteration < plan.warmup:
        return plan.learning_rate * (iteration + 1) / (plan.warmup + 1)
    done = (iteration - plan.warmup) / max(1, plan.iterations - plan.warmup)
    return plan.learning_rate * (_FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * done)))


def collate(records: Sequence[TokenRecord]) -> Batch:
    """Lay records side by side, filled up on the left, so that all completions end in the last column."""
    length = max(len(record.tokens) for record in records)
    answers = max(len(record.tokens) - record.start for record in records)
    gaps = [length - len(record.tokens) for record in records]
    rows = [[0] * gap + record.tokens for gap, record in zip(gaps, records, strict=True)]
    counts = mx.array([len(record.tokens) - record.start for record in records])
    weights = mx.arange(answers) >= answers - counts[:, None]
    return mx.array(rows), mx.array(gaps), weights.astype(mx.float32)


def _loss(net: Llama, batch: Batch) -> mx.array:
    """Mean cross entropy of the completions' tokens; only the columns that predict one reach the output matrix."""
    tokens, gaps, weights = batch
    answers = weights.shape[1]
    # Without offsets: rotary positions are relative, so a row may start anywhere.
    hidden = net.hidden(tokens[:, :-1], causal(gaps, tokens.shape[1] - 1), last=answers)
    logits = net.logits(hidden)
    right = mx.take_along_axis(logits, tokens[:, -answers:, None], axis=-1).squeeze(-1)
    return ((mx.logsumexp(logits, axis=-1) - right) * weights).sum() / weights.sum()
