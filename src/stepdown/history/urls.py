"""Database URLs: built from parts and never from text, and shown without what is secret."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from stepdown.errors import InvalidValue

PASSWORD = "STEPDOWN_DATABASE_PASSWORD"
"""Environment variable with the password of a database that is not a file."""

SQLITE_OPTIONS = {"timeout", "cached_statements"}
"""What a SQLite URL may ask for; SQLAlchemy would pass over anything else with a warning."""

_SECRET = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(r"([?&;\s][^=&;\s]*(?:pass|pwd|secret|token|key)[^=&;\s]*=)[^&;\s]*", re.IGNORECASE)
_PARTS: Mapping[str, Any] = {
    "drivername": str,
    "username": str | None,
    "host": str | None,
    "port": int | None,
    "database": str | None,
}


def sqlite(path: Path) -> URL:
    """Return the URL of a SQLite file, whatever characters its path holds."""
    return URL.create("sqlite", database=str(path))


def parse(text: str) -> URL:
    """Return a URL that somebody typed.

    Raises:
        InvalidValue: It is malformed; what it may hold of a password is not repeated.
    """
    try:
        return make_url(text)
    except (ArgumentError, ValueError, UnicodeError) as error:
        raise InvalidValue(
            f"The database URL {redacted(text)!r} cannot be used: it is not of the form DIALECT://USER@HOST/DATABASE."
        ) from error


def redacted(text: str) -> str:
    """Return a text that may hold a URL, without what may be a password in it."""
    return _SECRET_PARAMETER.sub(r"\1***", re.sub(r"(?<=:).*@", "***@", text, flags=re.DOTALL))


def shown(url: URL) -> str:
    """Return a URL as people and files may see it."""
    query = {name: "***" if _SECRET.search(name) else value for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


def check_memorable(url: URL) -> None:
    """Refuse a URL that a workspace must not remember, or by which it would find nothing again.

    Raises:
        InvalidValue: It holds a password, or names a database in memory or no plain file.
    """
    if url.password or any(_SECRET.search(name) for name in url.query):
        raise InvalidValue(
            f"The database URL {shown(url)!r} holds a password, and a workspace stores its URL: leave it out, and give it in "
            f"{PASSWORD}, or in PGPASSWORD or ~/.pgpass for PostgreSQL."
        )
    named = url.database or ""
    if url.get_backend_name() == "sqlite" and (named in {"", ":memory:"} or "memory" in url.query.get("mode", "")):
        raise InvalidValue(
            f"The database URL {shown(url)!r} names a database in memory, which is gone with its process; name a file."
        )
    if url.get_backend_name() == "sqlite" and (
        url.query.keys() - SQLITE_OPTIONS or not Path(named).name or "\0" in named
    ):
        raise InvalidValue(
            f"The database URL {shown(url)!r} cannot be used: for SQLite it is sqlite:/// and the path of a file."
        )


def absolute(url: URL) -> URL:
    """Return a URL that means the same from every current directory."""
    if file(url) is None or Path(url.database or "").is_absolute():
        return url
    return url.set(database=str(Path(url.database or "").absolute()))


def file(url: URL) -> Path | None:
    """Return the file of a SQLite database; None where the database is no plain file of ours to look at."""
    named = url.database or ""
    if url.get_backend_name() != "sqlite" or named in {"", ":memory:"} or "uri" in url.query:
        return None
    return Path(named)


def with_password(url: URL) -> URL:
    """Return a URL with the password that the environment holds for it, if it has none of its own."""
    secret = os.environ.get(PASSWORD)
    if not secret or url.password or url.get_backend_name() == "sqlite":
        return url
    return url.set(password=secret)


def as_json(url: URL) -> str | dict[str, Any]:
    """Return a URL as text where the text means the same, else its parts."""
    text = url.render_as_string(hide_password=False)
    if make_url(text) == url:
        return text
    return {**{name: getattr(url, name) for name in _PARTS}, "query": dict(url.query)}


def from_json(stored: object) -> URL | None:
    """Read what `as_json` wrote.

    Raises:
        ValueError: It is something else.
    """
    if stored is None:
        return None
    if isinstance(stored, str):
        return parse(stored)
    if not isinstance(stored, dict) or not all(isinstance(stored.get(name), kind) for name, kind in _PARTS.items()):
        raise ValueError("it names no database")
    query = stored.get("query", {})
    if not isinstance(query, dict) or not all(isinstance(value, str) for value in query.values()):
        raise ValueError("it names no database")
    parts: dict[str, Any] = {name: stored.get(name) for name in _PARTS}
    return URL.create(**parts, query=query)
