"""What a provider returns is somebody else's: checked once, where it enters, before trace and history believe any of it. Pure.

A reply that is no text is a failed call. Any other field that is not what it should be is unknown from here on, and noted.
"""

import re
from typing import Any

from stepdown.errors import ProviderError, in_one_line
from stepdown.providers.protocol import Completion

MALFORMED = "malformed-reply"
"""The `error.type` of a call whose reply is no text that a database can keep."""

LONGEST_WORD = 120
"""Characters that every database keeps of a name or an error's type."""

LONGEST_TEXT = 10_000
"""Characters that are kept of an error's sentence."""

MOST_TOKENS = 2**31 - 1
"""What every database keeps in a whole number."""

LONGEST_NOTE = 500
"""Characters that are kept of a note."""

MOST_NOTES = 50

COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")

UNKNOWN = "unknown"

_DIGEST = re.compile("[0-9a-f]{64}")


def checked(completion: Any, asked: str) -> tuple[Completion, tuple[str, ...]]:
    """Return a completion whose every field is what its type says, and the names of the fields that were not.

    Args:
        completion: What the provider returned, whatever that is.
        asked: Name of the provider that was asked, for the sentence.

    Raises:
        ProviderError: There is no reply in it that could be kept (`malformed-reply`).
    """
    reply = getattr(completion, "reply", None)
    if not isinstance(reply, str):
        raise ProviderError(f"{asked} answered with {type(reply).__name__} and not with a text.", error_type=MALFORMED)
    if not storable(reply):
        raise ProviderError(
            f"{asked} answered with a text that cannot be kept: it holds half a surrogate pair or a NUL.",
            error_type=MALFORMED,
        )
    fields: dict[str, Any] = {
        "provider": _word(getattr(completion, "provider", None)),
        "model": _word(getattr(completion, "model", None)),
        "digest": _digest(getattr(completion, "digest", None)),
        **{name: tokens(getattr(completion, name, None)) for name in COUNTS},
        "request_id": _word(getattr(completion, "request_id", None)),
        "finish_reason": _word(getattr(completion, "finish_reason", None)),
    }
    fields |= {name: UNKNOWN for name in ("provider", "model") if fields[name] is None}
    noted = tuple(name for name, value in fields.items() if value != getattr(completion, name, None))
    # A plain copy: what a subclass of str or int would do later is nobody's business here.
    return Completion(reply=str.__str__(reply), **fields, notes=notes(completion)), noted


def notes(source: object) -> tuple[str, ...]:
    """Return the notes of a completion or of an error, as far as they are texts that can be kept."""
    given = getattr(source, "notes", ())
    if not isinstance(given, tuple | list):
        return ()
    return tuple(_kept(note)[:LONGEST_NOTE] for note in given[:MOST_NOTES] if isinstance(note, str))


def failure(error: BaseException, asked: str) -> ProviderError:
    """Return whatever a provider threw as an error whose words can be kept.

    Args:
        error: What was thrown.
        asked: Name of the provider that was asked, for the sentence.
    """
    kind = word(type(error).__name__)
    words = sentence(error)
    if not isinstance(error, ProviderError):
        said = words if isinstance(error, OSError) else f"{kind}: {words}"
        return ProviderError(f"{asked} broke: {said}", error_type=kind)
    given = error.error_type
    kept = word(given) if isinstance(given, str) and given.strip() else "error"
    if (kept, words) == (given, str(error)):
        return error
    return ProviderError(words, error_type=kept, notes=notes(error))


def word(text: str) -> str:
    """Return a text as a word that every database keeps: no surrogate, no NUL, not too long."""
    return _kept(text)[:LONGEST_WORD] or UNKNOWN


def sentence(error: BaseException) -> str:
    """Return what an error says, as far as it says anything that can be kept."""
    try:
        words = in_one_line(error) if isinstance(error, OSError) else str(error)
    except Exception:
        words = "it does not say how"
    return _kept(words)[:LONGEST_TEXT]


def storable(text: str) -> bool:
    """Tell whether every database can keep a text: UTF-8, and no NUL in it."""
    return _kept(text) == text


def tokens(value: Any) -> int | None:
    """Return a count of tokens; None for what is no whole number that every database keeps."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return int(value) if 0 <= value <= MOST_TOKENS else None


def _kept(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _word(value: Any) -> str | None:
    return word(value) if isinstance(value, str) and value and storable(value) else None


def _digest(value: Any) -> str | None:
    return value if isinstance(value, str) and _DIGEST.fullmatch(value) else None
