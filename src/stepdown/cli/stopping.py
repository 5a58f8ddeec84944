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
