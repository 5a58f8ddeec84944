"""The child that brings a base: a file or directory in, a directory out that was opened, asked and found to have a template.

``python -m stepdown.local.adopt --source PATH --out DIR.part --parent PID``

What it reads may be an enemy's: it runs apart, asks no network, and refuses settings that name code.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepdown.errors import InvalidValue, StepdownError, in_one_line
from stepdown.local.blas import load_blas
from stepdown.local.parent import die_with_parent, named

if __name__ == "__main__":
    # Importing mlx-lm takes seconds, and a parent may be killed in them.
    die_with_parent(named(sys.argv))

os.environ["HF_HUB_OFFLINE"] = "1"  # Before transformers is imported: a base is what lies here, and nothing else.

import mlx.core as mx
from mlx.utils import tree_flatten

from stepdown.local.gguf import convert

SUFFIXES = {".json", ".safetensors", ".jinja", ".txt", ".model"}
"""What is copied of a directory; whatever else lies in it says nothing of a model."""

CODE = ("model_file", "auto_map")
"""Keys of a configuration that name Python files to run."""


def adopt(source: Path, out: Path) -> dict[str, Any]:
    """Fill a new directory with a base, and open it.

    Returns:
        Architecture, parameters, context and bits.

    Raises:
        InvalidValue: It is none that can be opened and asked.
        LocalError: The BLAS that is wished for cannot be had.
    """
    load_blas()
    out.mkdir(parents=True)
    if source.is_dir():
        _copy(source, out)
    else:
        convert(source, out)
    _check_code(out)
    config = _json(out / "config.json")
    _check_layers(config, out)
    mx.disable_compile()  # On a CPU it would call a C++ compiler, which a machine need not have.
    try:
        from mlx_lm.utils import load

        model, tokenizer = load(str(out), tokenizer_config={"trust_remote_code": False})[:2]
        scores = model(mx.array([[tokenizer.eos_token_id]]))
        mx.eval(scores)
    except Exception as error:  # Whatever is in there: it is no model of a kind that mlx-lm opens.
        raise InvalidValue(f"{source.name} is no model that mlx-lm opens ({in_one_line(error)}).") from error
    if not mx.all(mx.isfinite(scores)).item():
        raise InvalidValue(f"{source.name} answers with what is no number; its weights are damaged.")
    _check_template(source.name, tokenizer)
    quantization = config.get("quantization") or config.get("quantization_config") or {}
    return {
        "architecture": str(config.get("model_type")),
        "parameters": _parameters(model),
        "context": config.get("max_position_embeddings"),
        "bits": quantization.get("bits"),
    }


def _copy(source: Path, out: Path) -> None:
    wanted = [path for path in sorted(source.iterdir()) if path.suffix in SUFFIXES and path.name != "base.json"]
    if not any(path.suffix == ".safetensors" for path in wanted):
        raise InvalidValue(f"{source.name} holds no *.safetensors; a base is a directory that mlx-lm opens.")
    for path in wanted:
        if not path.is_file():
            raise InvalidValue(f"{path.name} in {source.name} is no file.")
        shutil.copyfile(path, out / path.name)


def _check_code(directory: Path) -> None:
    """Refuse a directory in which any settings name code: the model's, the tokenizer's or another library's."""
    for path in sorted(directory.glob("*.json")):
        settings = _json(path)
        if code := [key for key in CODE if key in settings]:
            raise InvalidValue(f"{path.name} names code to run ({', '.join(code)}), and it is not run.")


def _check_layers(config: dict[str, Any], directory: Path) -> None:
    """Refuse more layers than there are tensors: each has some, and making a forged number of them takes all memory first."""
    tensors = sum(_tensors(path) for path in directory.glob("*.safetensors"))
    inner = config.get("text_config")
    for name, value in [*config.items(), *(inner.items() if isinstance(inner, dict) else ())]:
        if "layer" in name and isinstance(value, int) and value > tensors:
            raise InvalidValue(f"config.json says {name} {value:,}, and the weights are {tensors} tensors.")


def _tensors(path: Path) -> int:
    """Return how many tensors a file of weights says it has, in its header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            raise InvalidValue(f"{path.name} is no file of weights.")
        return len(json.loads(file.read(length)))


LONGEST_HEADER = 100 << 20
"""Bytes of a header, as the reference implementation of safetensors limits it."""


def _json(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidValue(f"The base has no {path.name} that can be read ({in_one_line(error)}).") from error
    if not isinstance(settings, dict):
        raise InvalidValue(f"The base's {path.name} is no object.")
    return settings


def _check_template(name: str, tokenizer: Any) -> None:
    question = "What is asked?"
    if not getattr(tokenizer, "chat_template", None):
        raise InvalidValue(f"{name} has no chat template; nobody could say how its model was asked.")
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
    except Exception as error:  # A template is a program.
        raise InvalidValue(f"The chat template of {name} fails ({in_one_line(error)}).") from error
    if question not in text:
        raise InvalidValue(f"The chat template of {name} leaves out what is asked.")


def _parameters(model: Any) -> int:
    """Count the numbers of a model, those of packed weights one by one."""
    tensors = dict(tree_flatten(model.parameters()))
    total = 0
    for name, tensor in tensors.items():
        stem, _, leaf = name.rpartition(".")
        if f"{stem}.scales" not in tensors:
            total += tensor.size
        elif leaf == "weight":
            bits = next(each.bits for path, each in model.named_modules() if path == stem)
            total += tensor.size * 32 // bits
    return total


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, bring the base, and return the exit code."""
    parser = argparse.ArgumentParser(prog="stepdown.local.adopt", description="Bring one base.")
    for name in ("--source", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--parent", type=int, default=named(()), help="Process id of who asks; it ends without them.")
    paths = parser.parse_args(argv)
    die_with_parent(paths.parent)
    try:
        done = adopt(paths.source, paths.out)
    except Exception as error:  # An enemy's file: whatever it breaks, the reader gets a sentence.
        stated = error if isinstance(error, StepdownError) else None
        sentence = stated or f"{paths.source.name} is no base that can be understood ({in_one_line(error)})."
        sys.stderr.write(f"{sentence}\n")
        return InvalidValue.exit_code
    sys.stdout.write(json.dumps({"event": "done", **done}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
