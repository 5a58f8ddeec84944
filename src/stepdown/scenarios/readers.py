"""How an answer stands in a reply, as a task declares it: read in that one way, and written so that it is read back. Pure."""

import json
import re
from typing import Any

READERS = ("json", "text", "fenced-json")
"""How an answer stands in a reply: as JSON and nothing else, as the reply itself, or as JSON in the reply's only code fence."""


def read(reader: str, reply: str) -> Any:
    """Return the JSON value in a reply, read in the one way that was declared; nothing is ever guessed.

    Raises:
        ValueError: There is none.
    """
    if reader == "text":
        if not reply.strip():
            raise ValueError("an empty reply")
        return reply.strip()
    if reader == "fenced-json":
        fences = re.findall(r"```(?:json)?[ \t]*\n(.*?)```", reply, re.DOTALL)
        if len(fences) != 1:
            raise ValueError(f"{len(fences)} code fences, and not one")
        reply = fences[0]
    try:
        return json.loads(reply, object_pairs_hook=_each_key_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested beyond all use") from None


def written(reader: str, value: Any) -> str:
    """Return an answer as a reply that is read as just that."""
    if reader == "text":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = json.dumps(value, ensure_ascii=False)
    return f"```json\n{text}\n```" if reader == "fenced-json" else text


def spelled(reader: str, answer: str) -> str:
    """Return an answer, given in canonical form, as a reply that is read as just that."""
    return answer if reader == "json" else written(reader, json.loads(answer))


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")
