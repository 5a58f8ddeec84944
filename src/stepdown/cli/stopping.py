"""What is stopped in the middle, by Ctrl-C or by the world, can be gone on with: the sentence says what stands, and how."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from stepdown.errors import StepdownError
    from stepdown.workspace import Workspace


@contextmanager
def resumable(opened: "Workspace", command: Callable[[str], str]) -> Iterator[None]:
    """Say what stands of the run that this process had under way, if it is stopped.

    Args:
        opened: Where the run is recorded.
        command: Returns the words that go on with a run.

    Raises:
        Stopped: The user stopped it, and a run can be gone on with.
        WorkspaceError: The world did: a full disk, a database that another process locks, a trace that cannot be written.
    """
    from stepdown.errors import StepdownError, Stopped, WorkspaceError
    from stepdown.views.runs import broken_off, standing

    try:
        yield
    except KeyboardInterrupt:
        for run, stands in standing(opened).items():
            raise Stopped(f"Stopped. {stands} `{command(run)}` does the rest.") from None
        raise
    except WorkspaceError as error:
        try:
            left = broken_off(opened)
        except StepdownError:
            left = None  # What cannot be written now can perhaps not be read either.
        if left is not None:
            _add(error, f"{left[1]} `{command(left[0])}` does the rest.")
        raise


@contextmanager
def trainable(opened: "Workspace", command: Callable[..., str], *words: str) -> Iterator[None]:
    """Say what stands of a training that is stopped: nothing, the checkpoint of a tuning, or the bundle itself.

    Args:
        opened: Where it would be registered.
        command: Returns words as a command for this workspace.
        words: Those that begin the training anew.

    Raises:
        Stopped: The user stopped it.
        WorkspaceError: The world did.
        TrainingFailed: The child ended too early.
    """
    from stepdown.acts.checkpoints import abandoned
    from stepdown.errors import StepdownError, Stopped, TrainingFailed, WorkspaceError

    before = {path: path.stat().st_mtime_ns for path in abandoned(opened)}
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(f"Stopped. {_left(opened, before, command, words)}") from None
    except (WorkspaceError, TrainingFailed) as error:
        try:
            left = _left(opened, before, command, words)
        except StepdownError:
            left = ""
        # A child that failed by itself, with nothing kept, would fail again.
        if left and (isinstance(error, WorkspaceError) or not left.startswith(NOTHING)):
            _add(error, left)
        raise


NOTHING = "Nothing of this training stands"


def _left(opened: "Workspace", before: "dict[Path, int]", command: Callable[..., str], words: tuple[str, ...]) -> str:
    """Return in sentences what stands of a training, and how the rest is done."""
    from stepdown.acts.checkpoints import abandoned
    from stepdown.views.bundles import registered_here

    left = f"{NOTHING}, and nothing else was touched. `{command(*words)}` trains anew."
    for path in abandoned(opened):
        if path.stat().st_mtime_ns != before.get(path):
            left = (
                f"The checkpoint {path.name[:12]} of a tuning stands. `{command(*words, '--resume')}` goes on from it."
            )
    for bundle in registered_here(opened):
        left = f"The bundle {bundle.id[:12]} stands. `{command('promote', bundle.id[:12])}` compares it."
    return left


def _add(error: "StepdownError", sentence: str) -> None:
    """Let an error say one more thing."""
    said = str(error)
    error.args = (f"{said}{'' if said.endswith('.') else '.'} {sentence}",)
