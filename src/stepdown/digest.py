"""One canonical JSON form and one hash. Changing either changes every id."""

import hashlib
import json
from typing import Any

from stepdown.errors import HALF_A_CHARACTER, TOO_MANY_DIGITS


def canonical(value: Any) -> bytes:
    """Return the bytes that are hashed: sorted keys, no spaces, UTF-8; NaN has no such form and is refused."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def parsed(text: str) -> Any:
    """Return the value of a JSON text that a person wrote; a byte order mark before it says nothing.

    Raises:
        ValueError: It is no JSON, has a name twice in one object, or is nested too deeply; in words that say so.
    """
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_each_name_once, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def shown(value: Any) -> str:
    """Return a JSON value as a sentence can show it: in JSON's notation, whatever letters it has."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def why(error: Exception) -> str:
    """Return in words why a value has no canonical form."""
    if isinstance(error, UnicodeEncodeError):
        return HALF_A_CHARACTER
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a number in it is not finite" if isinstance(error, ValueError) else str(error)


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(TOO_MANY_DIGITS) from None


def _each_name_once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in items:
        if name in members:
            raise ValueError(f"the name {shown(name)} stands twice in one object")
        members[name] = value
    return members


def sha256(data: bytes) -> str:
    """Return the digest of bytes, hex."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """Return the digest of a JSON value, hex."""
    return sha256(canonical(value))
