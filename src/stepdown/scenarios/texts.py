"""The texts that prompts are made from: files with named blanks, beside the scenario that they belong to. Pure.

A role of a scenario has two. Its question (`competitor.txt`) is what is exported, trained on, evaluated, compared and served,
byte for byte the same. Its instructions (`competitor.instructions.txt`) go before the question to whoever cannot have learned
them: a hosted model.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from string import Template

from stepdown.errors import InvalidValue, in_one_line


def named(*folders: str) -> Mapping[str, str]:
    """Return the texts of a folder of the package by name; without a folder, those of every scenario that brings none."""
    return _read(folders)


@cache
def _read(folders: tuple[str, ...]) -> Mapping[str, str]:
    directory = files("stepdown.scenarios").joinpath("prompts", *folders)
    names = sorted(path.name for path in directory.iterdir() if path.name.endswith(".txt"))
    return {name.removesuffix(".txt"): plain(directory.joinpath(name).read_text("utf-8")) for name in names}


def plain(text: str) -> str:
    """Return a file's text without the line break that ends it, whatever system wrote it."""
    return text.replace("\r\n", "\n").removesuffix("\n")


def filled(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its blanks filled; what fills one is never searched for others.

    Raises:
        InvalidValue: It names a blank that there is not.
    """
    try:
        return Template(text).substitute(values)
    except (KeyError, ValueError) as error:
        raise InvalidValue(f"A prompt's text cannot be filled: {in_one_line(error)}.") from error


@lru_cache(maxsize=256)
def blanks(text: str) -> Sequence[str]:
    """Return the blanks that a text names. Every question looks for them in the same few texts."""
    return tuple(Template(text).get_identifiers())
