"""Do values hold what their types promise? Said about a place, such as `observe().steps[2].at`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

MOST = 60
"""Letters of a wrong value that are shown."""


def misfits(value: object, hint: Any, where: str) -> Iterator[str]:
    """Yield a sentence for each part of a value that is not of its type."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if not any(_fits(value, each) for each in get_args(hint)):
            yield _sentence(value, hint, where)
    elif origin is tuple:
        yield from _tuple(value, get_args(hint), hint, where)
    elif origin in (frozenset, Mapping):
        if not isinstance(value, origin):
            yield _sentence(value, hint, where)
    elif not isinstance(value, (int, float) if hint is float else hint):
        yield _sentence(value, hint, where)
    elif isinstance(hint, type) and is_dataclass(hint):
        for each, inner in _hints(hint).items():
            yield from misfits(getattr(value, each), inner, f"{where}.{each}")


def _fits(value: object, hint: Any) -> bool:
    return value is None if hint is type(None) else not any(True for _ in misfits(value, hint, ""))


def _tuple(value: object, parts: tuple[Any, ...], hint: Any, where: str) -> Iterator[str]:
    if not isinstance(value, tuple):
        yield _sentence(value, hint, where)
        return
    many = len(parts) == 2 and parts[1] is ...
    if not many and len(parts) != len(value):
        yield _sentence(value, hint, where)
        return
    for index, each in enumerate(value):
        yield from misfits(each, parts[0] if many else parts[index], f"{where}[{index}]")


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def _sentence(value: object, hint: Any, where: str) -> str:
    wanted = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
    shown = repr(value)
    shown = shown if len(shown) <= MOST else f"{shown[:MOST]}..."
    return f"{where} is {shown} ({type(value).__name__}); it must be {wanted}."
