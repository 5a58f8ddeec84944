"""One HTTP client for all hosted services, whose every call ends in time and within bounds, whatever the server does.

An HTTP library's time-outs are for each single read, so a server that sends a byte a second is never late. Here the whole
call has one end: when it comes, the call's socket is shut down, which wakes whoever reads from it. The client knows no key.
"""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2

from stepdown.clock import monotonic
from stepdown.providers.outcomes import redacted

LARGEST_BODY = 8 * 2**20
"""Bytes. The longest answers of today's models are a few hundred thousand characters."""


LONGEST_READ = 86_400.0
"""Seconds. Sockets count milliseconds in 32 bits."""


class Unreadable(Exception):
    """The body of an answer is longer than any answer, or packed though nobody asked for that."""


@dataclass(slots=True)
class CallDeadline:
    """The time of one call.

    Attributes:
        end: Monotonic seconds at which the call is over.
        secret: What no line of a log may show while the call lasts.
        sockets: The call's connections, for the moment when time is up.
    """

    end: float
    secret: str = field(repr=False)
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def patience(self) -> float:
        """Seconds that a single read may take: what is left, as far as an operating system can count it."""
        return min(self.left, LONGEST_READ)

    @property
    def left(self) -> float:
        """Seconds until the end; 0 afterwards."""
        return max(0.0, self.end - monotonic())

    def connected(self, event: str, info: dict[str, Any]) -> None:
        """Remember a connection as it is made, and once more when TLS takes its socket over."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            opened = info["return_value"].get_extra_info("socket")
            if opened is not None:
                self.sockets.append(opened)
        if not self.left:
            self.cut()

    def cut(self) -> None:
        """Shut every connection of the call down."""
        for opened in self.sockets:
            try:
                # Not the method of a TLS socket: that forgets the session under the feet of whoever reads.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)
            except OSError:
                # The other side, or the end of the call, was faster.
                continue


_DEADLINE: ContextVar[CallDeadline] = ContextVar("deadline")


TALKATIVE = ("anthropic", "httpcore2", "httpx2", "openai")
"""Libraries that log what a server sent, where somebody wants to read that much; it may have sent the key back."""


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        deadline = _DEADLINE.get(None)
        if deadline is not None:
            record.msg, record.args = redacted(record.getMessage(), deadline.secret), ()
        return True


_REDACTION = _Redaction()


def _hush() -> None:
    # Filters of a logger do not reach the ones below it, and an SDK's modules are imported when they are needed.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in TALKATIVE:
            logging.getLogger(name).addFilter(_REDACTION)


@contextmanager
def limited(seconds: float, secret: str) -> Iterator[CallDeadline]:
    """Give every request that is made within it, in this thread, one common end, and keep a secret out of logs."""
    _hush()
    deadline = CallDeadline(monotonic() + seconds, secret)
    alarm = threading.Timer(min(seconds, threading.TIMEOUT_MAX), deadline.cut)
    alarm.daemon = True
    token = _DEADLINE.set(deadline)
    alarm.start()
    try:
        yield deadline
    finally:
        alarm.cancel()
        _DEADLINE.reset(token)


@cache
def client() -> httpx2.Client:
    """Return the one client of the process. It keeps no connection, so that a deadline knows every socket of its call."""
    return httpx2.Client(
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        # A redirect would carry headers, and with them a key, to somebody who was never named.
        follow_redirects=False,
        # A packed body of a few MiB may unpack to any size.
        headers={"Accept-Encoding": "identity"},
        event_hooks={"request": [_watch], "response": [_bound]},
    )


def _watch(request: httpx2.Request) -> None:
    request.extensions["trace"] = _DEADLINE.get().connected


def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Unreadable("its body is packed, which was not asked for")
    assert isinstance(response.stream, httpx2.SyncByteStream)
    response.stream = _Bounded(response.stream)


@dataclass(slots=True)
class _Bounded(httpx2.SyncByteStream):
    """A body that ends, or the call does."""

    body: httpx2.SyncByteStream

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self.body:
            size += len(chunk)
            if size > LARGEST_BODY:
                raise Unreadable(f"its body is longer than {LARGEST_BODY // 2**20} MiB")
            yield chunk

    def close(self) -> None:
        self.body.close()
