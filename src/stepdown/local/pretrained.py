"""A pretrained model as mlx-lm opens it, from a copy of one's own whose every byte was counted."""

# mypy: allow-untyped-calls
# mlx.nn is only partly typed.

import json
import resource
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from stepdown.bundles.disk import listing, read_file
from stepdown.digest import digest, sha256
from stepdown.errors import LoadFailed, in_one_line
from stepdown.local.blas import load_blas
from stepdown.local.chat import Chat

RECORD = "base.json"
"""What a workspace notes about a base; no part of it."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A model ready to be asked or tuned.

    Attributes:
        model: As mlx-lm builds it.
        chat: How it is asked.
        config: Its configuration.
        digest: Of its files' digests, as a base's identity is counted.
        context: Longest sequence, in tokens.
    """

    model: Any
    chat: Chat
    config: Mapping[str, Any]
    digest: str
    context: int


LONGEST = 1 << 20
"""Context, in tokens, where a configuration gives none."""


def import_mlx_lm() -> None:
    """Import mlx-lm's loader, and leave this process as it is: mlx-lm would lower the number of files it may open, for ever."""
    if "mlx_lm.utils" in sys.modules:
        return
    kept = resource.setrlimit
    resource.setrlimit = lambda *_: None
    try:
        import mlx_lm.utils  # noqa: F401
    finally:
        resource.setrlimit = kept


def on_cpu() -> bool:
    """Tell whether matrices are multiplied by the CPU here."""
    return bool(mx.default_device() == mx.cpu)


def read_directory(directory: Path) -> dict[str, bytes]:
    """Read the files of a base into memory.

    Raises:
        OSError: One is gone.
        ValueError: There is a link, or a file changed meanwhile.
    """
    sizes = {path: size for path, (_, size) in listing(directory).items() if path != RECORD}
    return {path: read_file(directory / path, limit=size) for path, size in sizes.items()}


def opened(
    files: Mapping[str, bytes], adapter: Mapping[str, bytes] | None = None, *, plain: bool = False
) -> Pretrained:
    """Open a model from the bytes of its files, so that what was counted is what answers.

    Args:
        files: Relative path to content of everything that mlx-lm needs.
        adapter: The same of an adapter of mlx-lm's, to put on top.
        plain: Make plain weights of packed ones, wherever they are multiplied.

    Raises:
        LoadFailed: mlx-lm cannot make a model of them.
        LocalError: The BLAS that is wished for cannot be had.
    """
    load_blas()
    import_mlx_lm()
    from mlx_lm.utils import load

    with tempfile.TemporaryDirectory(prefix="stepdown-") as private:
        root = Path(private)
        _write(root / "model", files)
        if adapter is not None:
            _write(root / "adapter", adapter)
        if on_cpu():
            mx.disable_compile()  # It would call a C++ compiler, which a machine need not have.
        try:
            settings = {"trust_remote_code": False}
            model, tokenizer = load(str(root / "model"), tokenizer_config=settings)[:2]
            model.eval()
            _widen(model, plain=plain)
            if on_cpu():
                from stepdown.local.exponentials import install

                install(model)
            if adapter is not None:
                from mlx_lm.tuner.utils import load_adapters

                load_adapters(model, str(root / "adapter"))
                model.eval()
            mx.eval(model.parameters())
        except Exception as error:  # Of mlx, of transformers, of a tokenizer's Rust: it is no model that can be opened.
            raise LoadFailed(f"mlx-lm cannot open it: {in_one_line(error)}") from error
    config = json.loads(files["config.json"])
    chat = Chat(tokenizer)
    return Pretrained(
        model, chat, config, digest({path: sha256(data) for path, data in files.items()}), context(config)
    )


def context(config: Mapping[str, Any]) -> int:
    """Return the longest sequence that a configuration gives, in tokens."""
    longest = config.get("max_position_embeddings")
    return longest if isinstance(longest, int) and longest > 0 else LONGEST


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)


def _widen(model: Any, *, plain: bool) -> None:
    """Make plain float32 of packed or half-wide weights where a CPU multiplies.

    Its products of 4-bit weights take some thirty times as long as those of a BLAS; measured on 800 tokens through a model of
    135 million numbers, 220 s and 6.7 s. The numbers are the same, so what is learned or answered is too, but for rounding.
    """
    if plain or on_cpu():
        from mlx_lm.utils import dequantize_model

        dequantize_model(model)
    if on_cpu():
        model.set_dtype(mx.float32)
