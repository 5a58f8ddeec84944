"""Commands that a sentence advises: each names the workspace that it is about, so that it can be copied as it stands. Pure."""

import re
import shlex

COMMAND = re.compile(r"`stepdown ([^`]+)`")
WITHOUT = re.compile(r"-|init\b|.* (-w|--workspace|--help)\b")
"""Commands that take no workspace, or name theirs."""


def for_workspace(sentence: str, workspace: str) -> str:
    """Return a sentence with its commands for a workspace; as it is where that is the one that needs no naming.

    Args:
        sentence: Our own: nothing that somebody else said is changed.
        workspace: The directory; empty for the usual one.
    """
    if not workspace:
        return sentence
    option = f"-w {quoted(workspace)}"
    return COMMAND.sub(lambda it: it[0] if WITHOUT.match(it[1]) else f"`stepdown {it[1]} {option}`", sentence)


def command(*words: str, workspace: str = "") -> str:
    """Return a command as somebody would type it."""
    return " ".join(map(quoted, ["stepdown", *words, *(["-w", workspace] if workspace else [])]))


def quoted(word: str) -> str:
    """Return a word as a shell takes it: on one line, in one piece, and with nothing that a terminal would obey."""
    if word.isprintable() and "`" not in word and " ".join(word.split()) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character.isprintable() and character not in "'`\\ ":
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
