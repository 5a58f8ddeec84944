"""Tensors onto a disk: under their name when they are whole, and a disk that takes them not is said to be the reason."""

from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx

from stepdown.errors import WorkspaceError, in_one_line


def write(path: Path, tensors: Mapping[str, mx.array], *, marked: bool = True) -> None:
    """Write a safetensors file.

    Args:
        path: Its name; nothing lies there until all of it does.
        tensors: By name.
        marked: Whether it says that it is mlx's, as mlx-lm's files do.

    Raises:
        WorkspaceError: The disk takes it not; mlx has no word of its own for that.
    """
    # Not "model…": mlx-lm loads every model*.safetensors it finds.
    unfinished = path.with_name("unfinished.safetensors")
    try:
        mx.save_safetensors(str(unfinished), dict(tensors), metadata={"format": "mlx"} if marked else None)
    except RuntimeError as error:
        unfinished.unlink(missing_ok=True)
        raise WorkspaceError(f"{path.name} cannot be written ({in_one_line(error)}); free the disk.") from error
    unfinished.replace(path)
