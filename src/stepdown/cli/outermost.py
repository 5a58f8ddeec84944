"""The outermost place: whatever happens below becomes one sentence and a documented exit code.

A stack trace is for whoever asks for it: `--debug` before the command shows it, and nothing else ever does.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Any, TextIO

import typer

from stepdown.cli import FAULT, STOPPED, UNWRITTEN
from stepdown.cli.advice import advised, choose, named
from stepdown.errors import InvalidValue, StepdownError

USAGE = 2
LONGEST_WORD = 1024
"""Characters of a word that somebody gave which a sentence repeats; a path of most systems is shorter."""

_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""The parser's own refusal. Typer brings its parser along since 0.20 and used click's before; this is either's."""


def guarded(arguments: Sequence[str]) -> int:
    """Run a command whatever its world is like, and return the exit code."""
    _take_their_places()
    for stream in (sys.stdout, sys.stderr):
        _encode_anything(stream)
    choose()
    wanted = _Wanted(as_json="--json" in arguments, debug="--debug" in arguments)
    try:
        code = _run(arguments)
        # Here and not at the interpreter's exit, where a failure could no longer become a sentence.
        _flush()
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has: nothing failed.
        return _silenced(0)
    except BaseException as error:
        code = wanted.tell(error)
        if code == UNWRITTEN:
            return _silenced(code)
        with suppress(OSError, ValueError):
            _flush()
    return code


@cache
def _commands() -> Any:
    """Build the parser of all commands, once: Typer would do so each time it is called."""
    from stepdown.cli.app import app

    return typer.main.get_command(app)


def _run(arguments: Sequence[str]) -> int:
    commands = _commands()
    if sys.stdout is None:  # The shell closed it: `>&-`.
        raise OSError("stdout is closed")
    _check_given(arguments)
    try:
        done = commands.main(args=list(arguments), prog_name="stepdown", standalone_mode=False)
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # The parser meets a closed pipe first where it prints help.
            raise end.__context__ from None
        return end.code if isinstance(end.code, int) else 1
    except UnicodeEncodeError as error:
        # A path may be of any bytes; a name, a word or a reason that is stored or looked for is not.
        for word in (word for word in arguments if word.encode("utf-8", "replace").decode() != word):
            encoding = sys.getfilesystemencoding().lower()
            mend = (
                "write it so"
                if encoding == "utf-8"
                else "this locale knows fewer letters; set one of UTF-8, like C.UTF-8"
            )
            raise InvalidValue(f"The value {word!a} is not UTF-8; {mend}.", kind="usage") from error
        raise
    if done == STOPPED:  # The parser takes Ctrl-C for an answer, and says nothing.
        raise KeyboardInterrupt
    return done if isinstance(done, int) else 0


def _check_given(arguments: Sequence[str]) -> None:
    """Refuse a value of no characters: an unset variable of a script would count as one that was left out, or as any name.

    Raises:
        InvalidValue: There is one; only a reason may be empty.
    """
    for before, word in pairwise(["", *arguments]):
        option, equals, value = word.partition("=") if word.startswith("--") else (before, "=", word)
        if equals and not value.strip() and option != "--why":
            where = f"after {option}" if option.startswith("-") else f"{arguments.index(word) + 1} on the command line"
            raise InvalidValue(f"The value {where} is empty; write it, or leave it out.", kind="usage")


class _Wanted:
    """How the user wants to be told."""

    def __init__(self, *, as_json: bool, debug: bool) -> None:
        self.as_json = as_json
        self.debug = debug

    def tell(self, error: BaseException) -> int:
        """Say what happened, and return the exit code for it."""
        code, kind, sentence = describe(_explained(error))
        sentence = advised(sentence)
        if self.debug:
            _say(sys.stderr, "".join(traceback.format_exception(error)))
        usage = getattr(error, "ctx", None)
        if usage is not None and not self.as_json:
            _say(sys.stderr, f"{usage.get_usage()}\n")
        if self.as_json:
            from stepdown.cli.output import as_text

            answer = {"error": {"kind": kind, "message": sentence, "exit_code": code}}
            _say(sys.stdout, as_text(answer, sys.stdout))
        _say(sys.stderr, f"stepdown: {sentence}\n")
        return code


def _explained(error: BaseException) -> BaseException:
    """Return what a failure that nobody foresaw comes from, where that is a history in which somebody else wrote."""
    if not isinstance(error, Exception) or describe(error)[0] != FAULT:
        return error
    # Whatever it is, the look for its cause may not hide it.
    with suppress(Exception):
        from stepdown.acts.opening import open_workspace
        from stepdown.views.damage import damage
        from stepdown.workspace.marker import present

        if present(named()):
            with open_workspace(named()) as opened:
                return damage(opened) or error
    return error


def describe(error: BaseException) -> tuple[int, str, str]:
    """Return an error's exit code, its stable kind, and one sentence on what to do."""
    if isinstance(error, StepdownError):
        return error.exit_code, error.kind, _plain(str(error))
    if isinstance(error, _USAGE_ERROR):
        return USAGE, "usage", _plain(error.format_message())
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return STOPPED, "stopped", (
            "Stopped. Every step, bundle and verdict that was recorded stands; `stepdown report` and `stepdown bundles list` "
            "show them, the same command begins what was under way anew, and `stepdown run --resume` goes on with a run, "
            "`stepdown train --resume` with a tuning."
        )  # fmt: skip
    if isinstance(error, UnicodeEncodeError):
        return FAULT, "fault", "Something could not be written as text; please report it with what --debug shows."
    if isinstance(error, OSError):
        if error.filename is None:
            why = error.strerror or str(error)
            return (
                UNWRITTEN,
                "unwritten",
                f"The output could not be written: {_plain(why)}; give it room or another place.",
            )
        where, why = str(error.filename), error.strerror or type(error).__name__
        return (
            7,
            "workspace",
            _plain(f"{where} cannot be used: {why}; mend it, or name another place with --workspace."),
        )
    name = type(error).__name__
    return FAULT, "fault", (
        f"stepdown met something it does not know ({name}), which is a fault of its own; what was recorded stands. Run the "
        "command again as `stepdown --debug …` and report what it shows."
    )  # fmt: skip


def _plain(text: str) -> str:
    """Return a sentence on one line, without what a terminal would obey, and without words that have no end."""
    shown = (word if len(word) <= LONGEST_WORD else f"{word[:LONGEST_WORD]}…" for word in text.split())
    return "".join(c if c.isprintable() else " " for c in " ".join(shown))


def _take_their_places() -> None:
    """Put nothing in the place of a stream of input or of errors that the shell closed.

    The next file to be opened would get its number, be it the database, and a library's words would land in that.
    """
    for number in (0, 2):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _encode_anything(stream: Any) -> None:
    """Let a terminal that cannot show a character show its escape, rather than nothing."""
    with suppress(OSError, ValueError, AttributeError):
        stream.reconfigure(errors="backslashreplace")


def _say(stream: TextIO | None, text: str) -> None:
    # Where nobody can be told, the exit code alone tells.
    with suppress(OSError, ValueError, AttributeError):
        stream.write(text)  # type: ignore[union-attr]
        stream.flush()  # type: ignore[union-attr]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _silenced(code: int) -> int:
    """Let the interpreter's own flush at its exit meet no closed pipe."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return code
