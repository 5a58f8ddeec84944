"""Do values hold what their types promise? Said about a place, such as `observe().steps[2].at`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

MOST = 60
"""Letters of a wrong value that are shown."""


def misfits(value: object, hint: Any, place: str) -> Iterator[str]:
    """Yield a sentence for each part of a value that is not of its type."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if not any(_fits(value, each) for each in get_args(hint)):
            yield _sentence(value, hint, place)
    elif origin is tuple:
        yield from _tuple(value, get_args(hint), hint, place)
    elif origin in (frozenset, Mapping):
        if not isinstance(value, origin):
            yield _sentence(value, hint, place)
    elif not isinstance(value, (int, float) if hint is float else hint):
        yield _sentence(value, hint, place)
    elif isinstance(hint, type) and is_dataclass(hint):
        for each, inner in _hints(hint).items():
            yield from misfits(getattr(value, each), inner, f"{place}.{each}")


def _fits(value: object, hint: Any) -> bool:
    return value is None if hint is type(None) else not any(True for _ in misfits(value, hint, ""))


def _tuple(value: object, parts: tuple[Any, ...], hint: Any, place: str) -> Iterator[str]:
    if not isinstance(value, tuple):
        yield _sentence(value, hint, place)
        return
    many = len(parts) == 2 and parts[1] is ...
    if not many and len(parts) != len(value):
        yield _sentence(value, hint, place)
        return
    for index, each in enumerate(value):
        yield from misfits(each, parts[0] if many else parts[index], f"{place}[{index}]")


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    known = get_type_hints(kind)
    return {each.name: known[each.name] for each in fields(kind)}


def _sentence(value: object, hint: Any, place: str) -> str:
    wanted = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
    shown = repr(value)
    shown = shown if len(shown) <= MOST else f"{shown[:MOST]}..."
    return f"{place} is {shown} ({type(value).__name__}); it must be {wanted}."
