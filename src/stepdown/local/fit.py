"""The training child: a dataset and a plan in, a directory of weights out.

``python -m stepdown.local.fit --dataset DIR --plan plan.json --out DIR.part --parent PID``

It reads no clock and no network, and writes the weights last; whether the directory is a bundle is for the parent to
say. Stdout carries JSON lines (``progress``, then one ``done``), stderr one sentence if it fails, and the exit code is
that of the error.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stepdown.digest import digest, sha256
from stepdown.errors import DatasetError, InvalidValue, StepdownError, TrainingFailed, in_one_line
from stepdown.local.blas import load_blas
from stepdown.local.parent import die_with_parent, named

if __name__ == "__main__":
    # Importing mlx takes a second, and a parent may be killed in it.
    die_with_parent(named(sys.argv))

BLAS = load_blas()

import mlx.core as mx  # noqa: E402

from stepdown.local.dataset import Record, TokenRecord, parse_records, read_file, token_records  # noqa: E402
from stepdown.local.learn import learn, mean_loss  # noqa: E402
from stepdown.local.model import Llama, Shape  # noqa: E402
from stepdown.local.tensors import write  # noqa: E402
from stepdown.local.tokens import end_token, tokenizer_files, train_tokenizer  # noqa: E402
from stepdown.training.plan import Plan  # noqa: E402

_MLX: str = mx.__version__  # type: ignore[attr-defined]  # its stub forgets it
_REPORTS = 100

Report = Callable[[dict[str, Any]], None]


def fit(
    dataset: Path, plan: Plan, out: Path, report: Report, parent: int | None = None, content: str | None = None
) -> None:
    """Train one net and write it to a new or empty directory.

    Args:
        dataset: Directory with ``train.jsonl`` and, if there is anything to validate on, ``valid.jsonl``.
        plan: Sizes, schedule and seed.
        out: Where ``config.json``, the tokenizer and, last, ``model.safetensors`` go.
        report: Called with each event.
        parent: Process id of who asked for it, and without whom it ends; by default whoever the parent is now.
        content: Digest of the files' digests, which the very bytes that are learned from must have; None takes any.

    Raises:
        DatasetError: Empty, malformed, not what was asked for, or a record is longer than the window.
        TrainingFailed: The directory is in use, or the loss stopped being a number.
    """
    train, valid = records(dataset, content)
    if not train:
        raise DatasetError("train.jsonl is empty; export a run that has kept records.")
    tokenizer = train_tokenizer((text for record in train for text in (record.prompt, record.completion)), plan.vocab)
    train_records, valid_records = (token_records(records, tokenizer, plan.window) for records in (train, valid))
    claim(out)
    shape = Shape(
        vocab=tokenizer.get_vocab_size(),
        width=plan.width,
        layers=plan.layers,
        heads=plan.heads,
        kv_heads=plan.heads,
        ffn=plan.ffn,
        window=plan.window,
        eos=end_token(tokenizer),
    )
    mx.random.seed(plan.seed)
    net = Llama(shape)
    curve = _follow(net, train_records, plan, shape.vocab, report, parent)
    losses = {
        "train_loss": mean_loss(net, train_records, plan.batch),
        "valid_loss": mean_loss(net, valid_records, plan.batch),
    }
    _save(out, {"config.json": shape.to_json(), **tokenizer_files(tokenizer, plan.window)}, net)
    parameters = sum(tensor.size for tensor in net.tensors().values())
    report({"event": "done", **losses, "curve": curve, "parameters": parameters, "blas": asdict(BLAS), "mlx": _MLX})


def records(dataset: Path, content: str | None) -> tuple[list[Record], list[Record]]:
    """Read what there is to learn and to validate on, each file once: somebody may replace it after it was checked."""
    files = {"train.jsonl": read_file(dataset / "train.jsonl")}
    # An export with one distinct answer has nothing to validate on, and mlx-lm's loader refuses an empty file.
    if (dataset / "valid.jsonl").exists():
        files["valid.jsonl"] = read_file(dataset / "valid.jsonl")
    if content is not None and digest({name: sha256(data) for name, data in files.items()}) != content:
        raise DatasetError("The dataset's files changed after they were checked; export it again.")
    train, valid = (parse_records(name, files.get(name, b"")) for name in ("train.jsonl", "valid.jsonl"))
    return train, valid


def _follow(
    net: Llama, train: Sequence[TokenRecord], plan: Plan, vocab: int, report: Report, parent: int | None
) -> list[tuple[int, float]]:
    """Train, reporting the first step, the last and about a hundred in between; return those steps with their losses."""
    curve = list[tuple[int, float]]()
    parent = os.getppid() if parent is None else parent
    every = -(-plan.iterations // _REPORTS)
    for iteration, loss in enumerate(learn(net, train, plan, vocab), start=1):
        if os.getppid() != parent:
            raise TrainingFailed("The process that asked for this training is gone.")
        if iteration % every == 1 % every or iteration == plan.iterations:
            curve.append((iteration, round(loss(), 4)))
            report({"event": "progress", "iteration": iteration, "iterations": plan.iterations, "loss": curve[-1][1]})
    return curve


def claim(out: Path) -> None:
    """Make the directory; one that already holds something is somebody else's."""
    out.mkdir(parents=True, exist_ok=True)
    if next(out.iterdir(), None) is not None:
        raise TrainingFailed(f"{out.name} is not empty; remove it or name another directory.")


def _save(out: Path, texts: dict[str, str], net: Llama) -> None:
    """Write texts first and the weights last, under their name only when they are whole."""
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    write(out / "model.safetensors", net.tensors())


def work_in_batches() -> None:
    """Tell Linux that nobody waits at the keyboard for this process.

    mlx hands every operation to a thread of its own; without this, each handing over would stop the one that hands.
    """
    if sys.platform == "linux":
        # Where a sandbox forbids it, training only takes longer.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def emit(event: dict[str, Any]) -> None:
    """Print an event as a line of JSON."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _read_plan(path: Path) -> Plan:
    try:
        return Plan.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(f"The plan {path.name} cannot be read ({in_one_line(error)}).") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, train, and return the exit code."""
    parser = argparse.ArgumentParser(prog="stepdown.local.fit", description="Train one local bundle.")
    for name in ("--dataset", "--plan", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--content", help="Digest that the records' files must have.")
    parser.add_argument("--parent", type=int, default=named(()), help="Process id of who asks; it ends without them.")
    paths = parser.parse_args(argv)
    die_with_parent(paths.parent)
    work_in_batches()
    try:
        fit(paths.dataset, _read_plan(paths.plan), paths.out, emit, paths.parent, paths.content)
    except StepdownError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"The weights could not be written to {paths.out.name} ({error.strerror}).\n")
        return TrainingFailed.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
