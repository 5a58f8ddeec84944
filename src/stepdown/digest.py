"""One canonical JSON form and one hash. Changing either changes every id."""

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:
    """Return the bytes that are hashed: sorted keys, no spaces, UTF-8; NaN has no such form and is refused."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256(data: bytes) -> str:
    """Return the digest of bytes, hex."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """Return the digest of a JSON value, hex."""
    return sha256(canonical(value))
