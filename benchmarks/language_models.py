"""Language models on this machine: what tuning and serving cost here and in mlx-lm itself, on the same weights in one run.

    python benchmarks/language_models.py [--part training|serving|small] [--steps 24] [--reference]

Needs the extras `mlx-lm` and `smollm2`. mlx-lm gets the OpenBLAS that stepdown found, put before everything else; with
`--reference` it also tunes as pip installs it, where one step takes minutes. Medians; every ratio is of one run.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from stepdown.acts import adopt
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.bases import disk
from stepdown.local.blas import load_blas
from stepdown.scenarios import roles
from stepdown.scenarios.invoices import Invoices
from stepdown.scenarios.prompt import Knowledge
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.training.tuning import Tuning
from stepdown.workspace import Settings

RECORDS, BATCH, RANK, SCALE, LAYERS = 48, 4, 16, 20.0, 8
STREAMS, TOKENS = 64, 40
REPORTED = "[▼▲]"
"""What only those lines of `mlx_lm lora` hold that report a step."""


def prepare(root: Path) -> tuple[Path, Path]:
    """Return a base's directory with plain weights, and a dataset of invoices."""
    with open_workspace(root / "w", settings=Settings(durability="normal")) as workspace:
        adopt.adopt(workspace, adopt.packaged("smollm2"), "smollm2")
        play(start(workspace, "invoices", frontier="extract", generations=8, candidates=16))
        dataset = export(workspace, Filters("invoices", min_score=1.0)).path
        packed = workspace.root / disk.FOLDER / "smollm2"
        plain, data = root / "plain", root / "data"
        convert = ["--hf-path", str(packed), "--mlx-path", str(plain), "--dequantize", "--dtype", "float32"]
        subprocess.run([sys.executable, "-m", "mlx_lm", "convert", *convert], check=True, capture_output=True)
        data.mkdir()
        lines = (dataset / "train.jsonl").read_text().splitlines(keepends=True)[:RECORDS]
        (data / "train.jsonl").write_text("".join(lines))
        (data / "valid.jsonl").write_text("".join(lines[:BATCH]))
    return plain, data


def seconds_between(command: list[str], pattern: str, environment: dict[str, str] | None = None) -> list[float]:
    """Run a command and return the seconds between its lines that match; the first step warms up and is no gap."""
    times = []
    variables = {**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", env=variables
    ) as child:
        assert child.stdout is not None
        times = [time.perf_counter() for line in child.stdout if re.search(pattern, line)]
    if child.returncode:
        raise SystemExit(f"{command[2]} failed with {child.returncode}.")
    if len(times) < 3:
        raise SystemExit(f"{command[2]} reported {len(times)} steps; there is nothing to measure between them.")
    return [after - before for before, after in pairwise(times)]


def training(root: Path, steps: int, *, reference: bool = False) -> None:
    """One step of LoRA: eight layers, rank 16, batches of four, the answer's tokens alone count."""
    plain, data = prepare(root)
    plan = Tuning("plain", layers=LAYERS, rank=RANK, scale=SCALE, iterations=steps, batch=BATCH, learning_rate=1e-3)
    (root / "plan.json").write_text(plan.to_json())
    paths = {"--dataset": data, "--plan": root / "plan.json", "--base": plain, "--out": root / "tuned"}
    ours = [sys.executable, "-u", "-m", "stepdown.local.tune", *(str(each) for pair in paths.items() for each in pair)]
    config = {"lora_parameters": {"rank": RANK, "scale": SCALE, "dropout": 0.0}}
    (root / "config.yaml").write_text(json.dumps(config))  # JSON is YAML.

    def theirs(count: int) -> list[str]:
        options = {
            "-c": root / "config.yaml", "--model": plain, "--data": data, "--adapter-path": root / "adapter",
            "--iters": count, "--batch-size": BATCH, "--num-layers": LAYERS, "--learning-rate": 1e-3,
            "--steps-per-report": 1, "--steps-per-eval": 10**6, "--save-every": 10**6, "--val-batches": 0,
            "--max-seq-length": 512,
        }  # fmt: skip
        listed = [str(each) for pair in options.items() for each in pair]
        return [sys.executable, "-u", "-m", "mlx_lm", "lora", "--train", "--mask-prompt", *listed]

    blas = load_blas()
    preloaded = {"LD_PRELOAD": blas.path} if blas.path else {}
    tokens = tokens_of(plain, data) * BATCH
    print(
        f"tuning, {RECORDS} records, {tokens:.0f} tokens a step, {steps / (RECORDS / BATCH):.1f} times over the records"
    )
    spent = seconds_between(ours, '"progress"')
    mean = sum(spent) / len(spent)
    show("here", f"{tokens / mean:.0f} tokens/s", spent, "")
    kept = spent[len(spent) // 2 :]
    show("here, once states are kept", f"{tokens / median(kept):.0f} tokens/s", kept, "")
    others = {"mlx_lm lora, with OpenBLAS": (max(4, steps // 2), preloaded)}
    if reference:
        others["mlx_lm lora, as installed"] = 4, {}
    for name, (count, environment) in others.items():
        spent = seconds_between(theirs(count), REPORTED, environment)
        each = sum(spent) / len(spent)
        show(name, f"{tokens / each:.0f} tokens/s", spent, f"{each / mean:.1f} times as long as here")


def tokens_of(base: Path, data: Path) -> float:
    """Return the mean length of a record in tokens."""
    from stepdown.local.pretrained import opened, read_directory

    chat = opened(read_directory(base)).chat
    records = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    lengths = [len(chat.prompt(each["prompt"])) + len(chat.completion(each["completion"])) for each in records]
    return sum(lengths) / len(lengths)


def show(name: str, figure: str, seconds: Sequence[float], rest: str) -> None:
    print(f"  {name:44} {figure:>16}   {median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})   {rest}")


def timed(act: Callable[[], Any], times: int) -> tuple[list[float], Any]:
    """Return the seconds of an act, each time, and what it gave last."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        outcome = act()
        spent.append(time.perf_counter() - began)
    return spent, outcome


def serving(root: Path) -> None:
    """One stream and many, with and without a schema, against mlx-lm on the same weights and the same library of products."""
    plain, _ = prepare(root)
    from stepdown.local.pretrained import read_directory
    from stepdown.local.speak import load

    scenario = Invoices()
    role = roles.roles(scenario)["competitor"]
    assert role.prompt is not None
    prompts = [role.prompt(Knowledge(), seed) for seed in range(STREAMS)]
    compare("SmolLM2-135M", load(read_directory(plain)), plain, prompts, scenario.schema())


def small(root: Path) -> None:
    """A net of our own, trained as the demo does."""
    with open_workspace(root / "w", settings=Settings(durability="normal")) as workspace:
        play(start(workspace, "grid_ctf", generations=12, candidates=8))
        bundle = localize(
            workspace, export(workspace, Filters("grid_ctf", min_score=0.8)).path, plan=Plan(iterations=300)
        )
        directory = workspace.root / "bundles" / bundle.bundle.id
        from stepdown.local.decode import load

        files = {path.name: path.read_bytes() for path in directory.iterdir()}
        role = roles.roles(workspace.scenario("grid_ctf"))["competitor"]
        assert role.prompt is not None
        prompts = [role.prompt(Knowledge(), seed) for seed in range(STREAMS)]
        compare("a net of our own", load(files), directory, prompts, None)


def compare(name: str, ours: Any, directory: Path, prompts: list[str], schema: Any) -> None:
    """Print what both take for one prompt and for many."""
    import mlx.core as mx
    from mlx_lm import batch_generate, generate
    from mlx_lm import load as open_model

    from stepdown.local.blas import all_cores

    model, tokenizer = open_model(str(directory))
    weights = sum(each.nbytes for _, each in flat(model))
    limit = bandwidth() / weights
    print(
        f"{name}, {weights / 1e6:.0f} MB of weights; reading them at the speed of memory: {limit:.0f} tokens/s a stream"
    )
    asked = [
        tokenizer.apply_chat_template([{"role": "user", "content": each}], add_generation_prompt=True)
        for each in prompts
    ]

    def one(prompt: str) -> list[Any]:
        return list(ours.generate([prompt], max_tokens=TOKENS))

    def theirs(tokens: list[int]) -> str:
        with all_cores():
            return str(generate(model, tokenizer, prompt=tokens, max_tokens=TOKENS))

    def their_batch() -> Any:
        with all_cores():
            return batch_generate(model, tokenizer, asked, max_tokens=TOKENS)

    one(prompts[0]), theirs(asked[0])
    mx.synchronize()
    few = range(1, 7)
    mine = [timed(lambda n=n: one(prompts[n]), 1)[0][0] for n in few]  # type: ignore[misc]
    other = [timed(lambda n=n: theirs(asked[n]), 1)[0][0] for n in few]  # type: ignore[misc]
    show("one stream, here", f"{TOKENS / median(mine):.1f} tokens/s", mine, "")
    show(
        "one stream, mlx_lm.generate",
        f"{TOKENS / median(other):.1f} tokens/s",
        other,
        f"{median(other) / median(mine):.2f}",
    )
    mine, replies = timed(lambda: ours.generate(prompts, max_tokens=TOKENS), 3)
    count = sum(reply.output_tokens for reply in replies)
    other, _ = timed(their_batch, 3)
    show(f"{STREAMS} streams, here", f"{count / median(mine):.0f} tokens/s", mine, "")
    show(f"{STREAMS} streams, mlx_lm.batch_generate", "", other, f"{median(other) / median(mine):.2f}")
    if schema is None:
        return
    held = [timed(lambda n=n: ours.generate([prompts[n]], max_tokens=96, schema=schema)[0], 1) for n in few]  # type: ignore[misc]
    rate = sum(reply.output_tokens for _, reply in held) / sum(spent[0] for spent, _ in held)
    show("one stream, held to the schema", f"{rate:.1f} tokens/s", [spent[0] for spent, _ in held], "")
    spent, replies = timed(lambda: ours.generate(prompts, max_tokens=96, schema=schema), 1)
    count = sum(reply.output_tokens for reply in replies)
    show(f"{STREAMS} streams, held to the schema", f"{count / spent[0]:.0f} tokens/s", spent, "")
    free = ours.generate(prompts, max_tokens=96)
    for words, given in (("held", replies), ("not held", free)):
        print(f"  legal, {words}: {sum(legal(each.text) for each in given)} of {len(given)}")


def legal(text: str) -> bool:
    """Tell whether a reply is an invoice's answer."""
    import jsonschema

    try:
        jsonschema.validate(json.loads(text), Invoices().schema())
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


def flat(model: Any) -> Any:
    """Return the model's tensors by name."""
    from mlx.utils import tree_flatten

    return tree_flatten(model.parameters())


def bandwidth() -> float:
    """Return the bytes a second at which all cores read memory here."""
    import mlx.core as mx

    from stepdown.local.blas import all_cores

    matrix, vector = mx.ones((16384, 8192)), mx.ones((8192, 1))
    mx.eval(matrix, vector)
    with all_cores():
        spent, _ = timed(lambda: mx.eval(matrix @ vector), 7)
    return float(matrix.nbytes / min(spent))


PARTS: dict[str, Callable[[Path], None]] = {"serving": serving, "small": small}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["training", *PARTS])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument(
        "--reference", action="store_true", help="tune with mlx's own library of products too: minutes a step"
    )
    options = parser.parse_args()
    for name in [options.part] if options.part else ["training", *PARTS]:
        with tempfile.TemporaryDirectory() as directory:
            part = PARTS.get(name)
            if part is None:
                training(Path(directory), options.steps, reference=options.reference)
            else:
                part(Path(directory))


if __name__ == "__main__":
    main()
