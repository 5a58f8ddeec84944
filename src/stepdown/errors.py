"""Every way stepdown can refuse, grouped by what the reader can do about it.

::

    StepdownError                 exit 1
    ├── InvalidValue              exit 2   correct the value and call again        (also a ValueError)
    │   └── Unavailable                    what it names is right, and cannot be had now
    ├── NotFound                  exit 3   name something that exists              (also a LookupError)
    ├── Refused                   exit 4   the act is not allowed as things stand
    ├── DatasetError              exit 5   export again, or export other rows
    ├── TrainingFailed            exit 6   read the child's last words
    ├── WorkspaceError            exit 7   mend the directory, the disk or the version
    ├── ProviderError             exit 8   a provider did not answer; `error_type` says how
    │   └── LocalError                     the local model did not answer
    │       ├── LoadFailed                 its files could not be opened
    │       ├── ContextOverflow            the prompt does not fit its window, whole
    │       └── LocalTimeout               it did not answer in time
    └── Stopped                   exit 130 the user stopped it; the sentence says what stands

Every message is one sentence that says what to do. `kind` is a stable kebab-case word for programs: words are added,
never renamed. A refusal that a caller expects (a gate's objection, a validator's verdict) is a value, not one of these.
"""

from os import PathLike, fsdecode
from pathlib import Path
from typing import ClassVar

LONGEST = 300
"""Characters of somebody else's words that a sentence repeats."""


TOO_MANY_DIGITS = "a number in it has more digits than are read"
HALF_A_CHARACTER = "a text in it holds half a character (a lone surrogate)"
MISSHAPEN = "a part of it is not of the form that it should have"


def in_one_line(error: BaseException) -> str:
    """Return what somebody else's exception says, as a part of a sentence: in words, on one line, and not without end.

    No class of Python's and no number of the system's stands in it; `--debug` shows those.
    """
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return HALF_A_CHARACTER
    if isinstance(error, TypeError | AttributeError | IndexError):
        return MISSHAPEN
    words = " ".join(str(error).split())[:LONGEST].rstrip(".")
    if "integer string conversion" in words:
        return TOO_MANY_DIGITS
    short = {MemoryError: "there is not enough memory for it", RecursionError: "it is nested too deep"}
    return next((said for kind, said in short.items() if isinstance(error, kind)), words or "it does not say why")


def of_code(error: BaseException) -> str:
    """Return what an exception out of the reader's own code says: whoever mends that code looks for the class by its name."""
    if isinstance(error, OSError):
        return _of_the_system(error)
    words = " ".join(str(error).split())[:LONGEST].rstrip(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _of_the_system(error: OSError) -> str:
    """Return why the system refused something, by the name of the file that was meant, wherever it lies."""
    name = Path(fsdecode(error.filename)).name if isinstance(error.filename, str | bytes | PathLike) else ""
    if isinstance(error, FileNotFoundError):
        return f"{name or 'a file of it'} is not there"
    why = error.strerror or " ".join(str(error).split())[:LONGEST].rstrip(".") or "the system does not say why"
    return f"{name}: {why}" if name else why


class StepdownError(Exception):
    """Something stepdown promised cannot be done."""

    exit_code: ClassVar[int] = 1
    kind: str = "error"

    def __init__(self, sentence: str, *, kind: str | None = None) -> None:
        super().__init__(sentence)
        if kind is not None:
            self.kind = kind


class InvalidValue(StepdownError, ValueError):
    """A value is out of its range or of the wrong form."""

    exit_code = 2
    kind = "invalid-value"


class Unavailable(InvalidValue):
    """A provider is named rightly and cannot be had now: its package, its key or its entry point is missing or broken."""

    kind = "provider-unavailable"


class NotFound(StepdownError, LookupError):
    """A scenario, run, bundle, validator or dataset of that name does not exist here."""

    exit_code = 3
    kind = "not-found"

    def __str__(self) -> str:
        # LookupError's own str() would quote the sentence.
        return str(self.args[0])


class Refused(StepdownError):
    """The act is well formed, and the state of the workspace forbids it."""

    exit_code = 4
    kind = "refused"


class DatasetError(StepdownError):
    """A dataset is empty, malformed or not the one its manifest describes."""

    exit_code = 5
    kind = "dataset-malformed"


class TrainingFailed(StepdownError):
    """The training child ended without a usable model."""

    exit_code = 6
    kind = "training-failed"


class WorkspaceError(StepdownError):
    """The workspace cannot be read or written: missing, newer, locked, read-only or full."""

    exit_code = 7
    kind = "workspace"


class ProviderError(StepdownError):
    """A provider did not answer.

    Attributes:
        error_type: What went wrong, as the trace names it (`error.type`): `timeout`, `rate-limit`, `transport`, …
        notes: What else the provider says of the call: each try, for example.
    """

    exit_code = 8
    kind = "provider-error"
    error_type: str = "error"

    def __init__(self, sentence: str, *, error_type: str | None = None, notes: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.notes = notes
        if error_type is not None:
            self.error_type = error_type


class LocalError(ProviderError):
    """The local model did not answer."""

    kind = "local-error"
    error_type = "error"


class LoadFailed(LocalError):
    """The bundle's files could not be turned into a model."""

    kind = "local-load-failed"
    error_type = "load-failed"


class ContextOverflow(LocalError):
    """The prompt, or the prompt and its completion, do not fit the window whole."""

    kind = "context-overflow"
    error_type = "context-overflow"


class LocalTimeout(LocalError):
    """The local model did not answer within its time limit."""

    kind = "local-timeout"
    error_type = "timeout"


class Stopped(StepdownError):
    """The user stopped a command that can be gone on with."""

    exit_code = 130
    kind = "stopped"
