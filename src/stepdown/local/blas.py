"""Which BLAS multiplies matrices, settled before mlx is imported.

mlx's Linux wheel carries the Fortran reference BLAS. A system OpenBLAS or MKL that is in the global symbol table first
answers the very same ``cblas_*`` calls, about fifteen times faster on the nets trained here. macOS needs none of this:
mlx uses Accelerate there.
"""

import ctypes
import ctypes.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stepdown.errors import LocalError

VARIABLE = "STEPDOWN_BLAS"
"""Environment variable: ``none`` keeps what mlx brings, a path loads that library, empty searches the system."""

# The 32-bit integer interfaces only: mlx calls cblas with plain ints, so an "ilp64" build would read garbage.
_NAMES = ("libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2", "libmkl_rt.so")


@dataclass(frozen=True, slots=True)
class Blas:
    """The BLAS behind mlx in this process.

    Attributes:
        name: ``openblas``, ``mkl``, ``other``, ``accelerate`` or ``bundled`` (what mlx's wheel brings).
        config: The library's own words on version and processor; for ``bundled`` why nothing better is used.
        path: File that was loaded, or None if nothing was.
    """

    name: str
    config: str
    path: str | None


@cache
def load_blas() -> Blas:
    """Load the best BLAS of this machine for mlx, on one thread; the first call in a process decides.

    One thread, because nets this small lose more to waking workers than they win, and because sums in one order are
    what makes two trainings equal byte for byte.

    Raises:
        LocalError: ``STEPDOWN_BLAS`` names a library that cannot be loaded or has no ``cblas_sgemm``.
    """
    wish = os.environ.get(VARIABLE, "")
    if sys.platform == "darwin":
        return Blas("accelerate", "Accelerate, part of macOS", None)
    wanted = _named(wish) if wish not in ("", "none") else None
    if "mlx.core" in sys.modules:
        return Blas("bundled", "mlx was imported before a system BLAS could be loaded", None)
    if wish == "none":
        return Blas("bundled", f"{VARIABLE}=none", None)
    if wanted is not None:
        return wanted
    for name in _candidates():
        if (library := _open(name)) is not None:
            return _describe(library, name)
    return Blas("bundled", "no OpenBLAS or MKL found; install libopenblas0 for faster training", None)


@contextmanager
def all_cores() -> Iterator[None]:
    """Let the BLAS use every core while something large is multiplied; nets of our own stay on one thread.

    The number is fixed for a machine, so two trainings on it still sum in one order.
    """
    library = ctypes.CDLL(None)
    name = {"openblas": "openblas_set_num_threads", "mkl": "MKL_Set_Num_Threads"}.get(load_blas().name, "")
    if not hasattr(library, name):
        yield
        return
    set_threads = getattr(library, name)
    set_threads(cores())
    try:
        yield
    finally:
        set_threads(1)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _named(path: str) -> Blas:
    """Load the library that the user asked for, or refuse: a wish is never replaced silently."""
    library = _open(path)
    if library is None:
        raise LocalError(f"{VARIABLE}={path} is not a loadable BLAS; name a library with cblas_sgemm, or 'none'.")
    return _describe(library, path)


def _candidates() -> Iterator[str]:
    """Yield what to try: the loader's path, then this environment (conda, pip's mkl), then a slow search."""
    yield from _NAMES
    for name in _NAMES:
        yield str(Path(sys.prefix) / "lib" / name)
    # Last, because it starts ldconfig or a compiler: 25 ms here.
    for stem in ("openblas", "mkl_rt"):
        if library := ctypes.util.find_library(stem):
            yield library


def _open(name: str) -> ctypes.CDLL | None:
    """Load one library into the global symbol table, or return None if it is not there or no BLAS."""
    try:
        # Asked privately first: a library without cblas must not stay in front of everybody's symbols.
        if not hasattr(ctypes.CDLL(name), "cblas_sgemm"):
            return None
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None


def _describe(library: ctypes.CDLL, name: str) -> Blas:
    """Put the library on one thread, in its own way, and let it say what it is."""
    path = _path(library)
    if hasattr(library, "openblas_set_num_threads"):
        library.openblas_set_num_threads(1)
        library.openblas_get_config.restype = ctypes.c_char_p
        return Blas("openblas", library.openblas_get_config().decode().strip(), path)
    if hasattr(library, "MKL_Set_Num_Threads"):
        library.MKL_Set_Num_Threads(1)
        version = ctypes.create_string_buffer(256)
        library.MKL_Get_Version_String(version, len(version))
        return Blas("mkl", version.value.decode().strip(), path)
    return Blas("other", name, path)


class _DlInfo(ctypes.Structure):
    """``Dl_info`` of dladdr(3)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _path(library: ctypes.CDLL) -> str | None:
    """Return the file that a loaded library came from, links resolved."""
    info = _DlInfo()
    symbol = ctypes.cast(library.cblas_sgemm, ctypes.c_void_p)
    if not ctypes.CDLL(None).dladdr(symbol, ctypes.byref(info)) or info.file is None:
        return None
    return os.path.realpath(os.fsdecode(info.file))
