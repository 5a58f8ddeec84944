"""A process without sockets: it ends at the first one, of whatever kind and whoever opens it.

Python tells of those that Python opens. On Linux the kernel forbids the rest: those of C and C++ code, and of every process
that is started.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Iterator

ARCHITECTURES = {"x86_64": (0xC000003E, (41, 53, 425)), "aarch64": (0xC00000B7, (198, 199, 425))}
"""Machine to its AUDIT_ARCH and to its numbers of socket, socketpair and io_uring_setup, from linux/audit.h and unistd.h."""

KERNEL = sys.platform == "linux" and platform.machine() in ARCHITECTURES
"""Whether the kernel helps here."""

STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system")

ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


def seal() -> list[str]:
    """Seal this process, and return the list that will tell of every other one it starts: a child may die unseen."""
    started: list[str] = []

    def heard(event: str, _: object) -> None:
        if event.startswith("socket."):
            os.kill(os.getpid(), signal.SIGSYS)
        if event in STARTS:
            started.append(event)

    sys.addaudithook(heard)
    if KERNEL:
        _forbid()
    return started


def _forbid() -> None:
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _instructions())
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(code) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(SECCOMP, FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel does not take the filter")


def _instructions() -> Iterator[tuple[int, int, int, int]]:
    """Yield classic BPF: load, jump if equal and return, over the architecture and then the number of a call."""
    load, jump, leave = 0x20, 0x15, 0x06
    architecture, forbidden = ARCHITECTURES[platform.machine()]
    yield load, 0, 0, 4
    yield jump, 1, 0, architecture
    yield leave, 0, 0, KILL_PROCESS
    yield load, 0, 0, 0
    for number in forbidden:
        yield jump, 0, 1, number
        yield leave, 0, 0, KILL_PROCESS
    yield leave, 0, 0, ALLOW
