"""The tuning child: a base, a dataset and a plan in, a directory of what was learned out.

``python -m stepdown.local.tune --dataset DIR --plan plan.json --base DIR --out DIR.part --checkpoint DIR --parent PID``

Like `local.fit` it reads no clock and no network, and writes the weights last. mlx-lm makes the changes that learn, and reads
what is written here (`mlx_lm generate --adapter-path`).
"""

# mypy: allow-untyped-calls

import argparse
import math
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from stepdown.errors import DatasetError, InvalidValue, StepdownError, TrainingFailed, in_one_line
from stepdown.local.blas import all_cores, load_blas
from stepdown.local.parent import die_with_parent, named

if __name__ == "__main__":
    # Importing mlx-lm takes seconds, and a parent may be killed in them.
    die_with_parent(named(sys.argv))

BLAS = load_blas()
os.environ["HF_HUB_OFFLINE"] = "1"  # Before transformers is imported: a base is what lies here, and nothing else.

import mlx.core as mx  # noqa: E402
import mlx.optimizers as optim  # noqa: E402
from mlx.nn.utils import value_and_grad  # noqa: E402
from mlx.utils import tree_map  # noqa: E402

from stepdown.bundles.kinds import MODEL  # noqa: E402
from stepdown.local import checkpoint  # noqa: E402
from stepdown.local.chat import Chat  # noqa: E402
from stepdown.local.checkpoint import flat  # noqa: E402
from stepdown.local.dataset import Record, TokenRecord, even_draws  # noqa: E402
from stepdown.local.fit import Report, claim, emit, records, work_in_batches  # noqa: E402
from stepdown.local.halves import Halves  # noqa: E402
from stepdown.local.pretrained import Pretrained, opened, read_directory  # noqa: E402
from stepdown.local.tuned import changes, save  # noqa: E402
from stepdown.training.tuning import Tuning, parse_plan  # noqa: E402

_MLX: str = mx.__version__  # type: ignore[attr-defined]  # its stub forgets it
_REPORTS = 100
_LARGEST_GRADIENT = 1.0  # Norm above which a step is shortened.
_SAMPLE = 24  # Records that the losses before and after are measured on; it takes as long as some steps.


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is asked for.

    Attributes:
        dataset: Directory with ``train.jsonl`` and, if there is anything to validate on, ``valid.jsonl``.
        plan: How it is tuned.
        base: Directory of the base.
        base_digest: What its files must hash to; empty takes any.
        out: A new or empty directory.
        content: Digest of the dataset's files; None takes any.
        checkpoint: Where checkpoints go, and where an earlier child's may lie; None makes none.
        resume: Whether to go on from there.
        parent: Process id of who asked for it, and without whom it ends.
    """

    dataset: Path
    plan: Tuning
    base: Path
    base_digest: str
    out: Path
    content: str | None = None
    checkpoint: Path | None = None
    resume: bool = False
    parent: int | None = None


def tune(order: Order, report: Report) -> None:
    """Tune a base and write what was learned.

    Raises:
        DatasetError: Empty, malformed, not what was asked for, or a record is longer than the window.
        InvalidValue: The base is another one, or the plan names parts that it does not have.
        TrainingFailed: The directory is in use, the loss stopped being a number, or nothing was learned.
    """
    plan = order.plan
    train, valid = records(order.dataset, order.content)
    if not train:
        raise DatasetError("train.jsonl is empty; export a run that has kept records.")
    base = _open(order)
    window = min(plan.window, base.context)
    tokenized, held = ([_token_record(base.chat, record, window) for record in part] for part in (train, valid))
    claim(order.out)
    _let_learn(base.model, plan)
    halves = Halves(base.model, [*tokenized, *held], whole=not plan.mask_prompt, together=not plan.grad_checkpoint)
    base.model.eval()
    before = _mean(halves, held[:_SAMPLE], plan)
    base.model.train()
    curve = _learn(halves, tokenized, order, report)
    base.model.eval()
    losses = {
        "untuned_loss": before,
        "train_loss": _mean(halves, tokenized[:_SAMPLE], plan),
        "valid_loss": _mean(halves, held[:_SAMPLE], plan),
    }
    _check_changed(base.model, plan)
    save(base, order.base, plan, tokenized[0], order.out)
    learned = sum(tensor.size for tensor in flat(base.model.trainable_parameters()).values())
    report({"event": "done", **losses, "curve": curve, "parameters": learned, "blas": asdict(BLAS), "mlx": _MLX})


def _open(order: Order) -> Pretrained:
    try:
        base = opened(read_directory(order.base), plain=_plain(order.plan))
    except (OSError, ValueError) as error:
        raise InvalidValue(f"The base cannot be read ({in_one_line(error)}).") from error
    if order.base_digest and base.digest != order.base_digest:
        raise InvalidValue("The base changed after it was looked at; bring it again.")
    return base


def _plain(plan: Tuning) -> bool:
    """Tell whether packed weights are of no use: they cannot learn themselves, nor take a change in."""
    return plan.method == "full" or plan.form == MODEL.name


def _token_record(chat: Chat, record: Record, window: int) -> TokenRecord:
    prompt, completion = chat.prompt(record.prompt), chat.completion(record.completion)
    length = len(prompt) + len(completion)
    if length > window:
        raise DatasetError(f"{record.where} has {length} tokens and the window holds {window}; widen the plan's.")
    return TokenRecord([*prompt, *completion], len(prompt))


def _let_learn(model: Any, plan: Tuning) -> None:
    """Freeze the model, but for what the plan lets learn."""
    from mlx_lm.tuner.utils import linear_to_lora_layers

    blocks = len(model.layers)
    if plan.layers > blocks:
        raise InvalidValue(f"plan: the base has {blocks} layers, not {plan.layers}; -1 is all of them.")
    count = blocks if plan.layers == -1 else plan.layers
    mx.random.seed(plan.seed)
    model.freeze()
    if plan.method == "full":
        for block in model.layers[-count:]:
            block.unfreeze(keys=None)
    else:
        try:
            linear_to_lora_layers(model, count, changes(plan), use_dora=plan.method == "dora")
        except ValueError as error:
            raise InvalidValue(f"plan: keys name what cannot learn ({in_one_line(error)}).") from error
    if not flat(model.trainable_parameters()):
        raise InvalidValue(
            f"plan: the keys {', '.join(plan.keys)} match no part of the base, so nothing would be learned."
        )
    if plan.grad_checkpoint:
        from mlx_lm.tuner.trainer import grad_checkpoint

        grad_checkpoint(model.layers[0])


def _learn(halves: Halves, tokenized: Sequence[TokenRecord], order: Order, report: Report) -> list[tuple[int, float]]:
    """Take the plan's steps, from a checkpoint if that is wanted; a step depends on its number and on the weights before it.

    Returns:
        The losses that were reported, each with its number of steps.
    """
    plan, model = order.plan, halves.model
    optimizer = optim.AdamW(learning_rate=plan.learning_rate, weight_decay=plan.weight_decay, bias_correction=True)
    optimizer.init(model.trainable_parameters())
    done, curve = 0, list[tuple[int, float]]()
    if order.checkpoint and order.resume:
        done, curve = checkpoint.resume(model, optimizer, order.checkpoint)
    if curve:
        report({"event": "progress", "iteration": done, "iterations": plan.iterations, "loss": curve[-1][1]})
    step = value_and_grad(model, halves.loss)
    batches = islice(even_draws(tokenized, plan.batch, random.Random(plan.seed)), done * plan.accumulate, None)
    parent = os.getppid() if order.parent is None else order.parent
    every = -(-plan.iterations // _REPORTS)
    for iteration in range(done, plan.iterations):
        if os.getppid() != parent:
            raise TrainingFailed("The process that asked for this training is gone.")
        mx.random.seed(plan.seed * 1_000_003 + iteration)  # Of dropout: the same in a training that was resumed.
        optimizer.learning_rate = mx.array(plan.rate(iteration))
        loss = _step(step, optimizer, halves, [next(batches) for _ in range(plan.accumulate)])
        if not math.isfinite(loss):
            raise TrainingFailed("The loss is no longer a number; train with a lower learning rate.")
        count = iteration + 1
        if count % every == 1 % every or count == plan.iterations:
            curve.append((count, round(loss, 4)))
            report({"event": "progress", "iteration": count, "iterations": plan.iterations, "loss": curve[-1][1]})
        if order.checkpoint is not None and count % plan.checkpoint_every == 0 and count < plan.iterations:
            checkpoint.keep(model, optimizer, order.checkpoint, count, curve)
    return curve


def _step(step: Callable[..., Any], optimizer: Any, halves: Halves, batches: Sequence[Sequence[TokenRecord]]) -> float:
    """Take one optimizer step over one or more batches; return their mean loss."""
    total, summed = 0.0, None
    for drawn in batches:
        loss, gradients = step(halves.batch(drawn), halves.states(drawn))
        summed = gradients if summed is None else tree_map(lambda one, other: one + other, summed, gradients)
        mx.eval(loss, summed)
        total += cast("float", loss.item())
    averaged = tree_map(lambda each: each / len(batches), summed)
    clipped, _ = optim.clip_grad_norm(averaged, _LARGEST_GRADIENT)
    optimizer.update(halves.model, clipped)
    mx.eval(halves.model.trainable_parameters(), optimizer.state)
    return total / len(batches)


def _mean(halves: Halves, tokenized: Sequence[TokenRecord], plan: Tuning) -> float | None:
    """Return the mean loss per token that counts, in nats; None if there are no records."""
    total, count = 0.0, 0
    for first in range(0, len(tokenized), plan.batch):
        some = tokenized[first : first + plan.batch]
        batch = halves.batch(some)
        loss = cast("float", halves.loss(batch, halves.states(some)).item())
        total, count = total + loss * batch.targets.size, count + batch.targets.size
    if not math.isfinite(total):
        raise TrainingFailed("The loss is no longer a number; train with a lower learning rate.")
    return total / count if count else None


def _check_changed(model: Any, plan: Tuning) -> None:
    """Refuse what answers as the base does: nobody would notice that nothing was learned."""
    changes = [each for name, each in flat(model.trainable_parameters()).items() if name.endswith("lora_b")]
    if plan.method != "full" and not any(mx.abs(each).max().item() for each in changes):
        raise TrainingFailed("The tuning changes nothing; train longer, with a higher learning rate, or other keys.")


def _plan(path: Path) -> Tuning:
    try:
        plan = parse_plan(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(f"The plan {path.name} cannot be read ({in_one_line(error)}).") from error
    if not isinstance(plan, Tuning):
        raise InvalidValue("The plan names no base, and there is nothing to tune.")
    return plan


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, tune, and return the exit code."""
    parser = argparse.ArgumentParser(prog="stepdown.local.tune", description="Tune one base.")
    for name in ("--dataset", "--plan", "--base", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, help="Directory of checkpoints.")
    parser.add_argument("--resume", action="store_true", help="Go on from the checkpoint, if there is one.")
    parser.add_argument("--content", help="Digest that the records' files must have.")
    parser.add_argument("--base-digest", default="", help="Digest that the base's files must have.")
    parser.add_argument("--parent", type=int, default=named(()), help="Process id of who asks; it ends without them.")
    given = parser.parse_args(argv)
    die_with_parent(given.parent)
    work_in_batches()
    try:
        order = Order(
            dataset=given.dataset,
            plan=_plan(given.plan),
            base=given.base,
            base_digest=given.base_digest,
            out=given.out,
            content=given.content,
            checkpoint=given.checkpoint,
            resume=given.resume,
            parent=given.parent,
        )
        with all_cores():
            tune(order, emit)
    except StepdownError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"The weights could not be written to {given.out.name} ({error.strerror}).\n")
        return TrainingFailed.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
