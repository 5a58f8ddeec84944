"""Ctrl-C in what can be gone on with: the sentence says what stands, and how the rest is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown.workspace import Workspace


@contextmanager
def resumable(opened: "Workspace", command: Callable[[str], str]) -> Iterator[None]:
    """Say what stands of the run that this process had under way, if it is stopped.

    Args:
        opened: Where the run is recorded.
        command: Returns the words that go on with a run.

    Raises:
        Stopped: The user stopped it, and a run can be gone on with.
    """
    from stepdown.errors import Stopped
    from stepdown.views.runs import standing

    try:
        yield
    except KeyboardInterrupt:
        for run, stands in standing(opened).items():
            raise Stopped(f"Stopped. {stands} `{command(run)}` does the rest.") from None
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
    """
    from stepdown.acts.checkpoints import abandoned
    from stepdown.errors import Stopped
    from stepdown.views.bundles import registered_here

    before = {path: path.stat().st_mtime_ns for path in abandoned(opened)}
    try:
        yield
    except KeyboardInterrupt:
        stands, does = (
            "Nothing of this training stands, and nothing else was touched.",
            f"`{command(*words)}` trains anew.",
        )
        for path in abandoned(opened):
            if path.stat().st_mtime_ns != before.get(path):
                stands = f"The checkpoint {path.name[:12]} of a tuning stands."
                does = f"`{command(*words, '--resume')}` goes on from it."
        for bundle in registered_here(opened):
            stands, does = (
                f"The bundle {bundle.id[:12]} stands.",
                f"`{command('promote', bundle.id[:12])}` compares it.",
            )
        raise Stopped(f"Stopped. {stands} {does}") from None
