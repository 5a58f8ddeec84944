"""Begin a task of one's own: write an example's files into a directory, to be changed there."""

from pathlib import Path

from stepdown.errors import NotFound, Refused, WorkspaceError
from stepdown.scenarios.installed import names
from stepdown.scenarios.shipped import EXAMPLES, contents
from stepdown.scenarios.task_files import NAME
from stepdown.scenarios.tasks import TASK
from stepdown.workspace import write_atomically


def _name(directory: Path, example: str) -> str:
    """Return a name for the task that no installed scenario has: the directory's, where that is one."""
    name = directory.resolve().name.lower()
    return name if NAME.fullmatch(name) and name not in names() else f"my-{example}"


def init(directory: Path, example: str = EXAMPLES[0]) -> list[Path]:
    """Write the files of an example, none of them over another.

    Returns:
        What was written.

    Raises:
        NotFound: There is no such example.
        Refused: A file of that name is there already; nothing is written then.
        WorkspaceError: The directory cannot be written.
    """
    if example not in EXAMPLES:
        raise NotFound(f"There is no example {example!r}; choose one of {', '.join(EXAMPLES)}.", kind="unknown-example")
    texts = contents(example)
    texts[TASK] = texts[TASK].replace(f'name = "{example}"', f'name = "{_name(directory, example)}"')
    paths = [directory / name for name in texts]
    there = next((path for path in paths if path.exists() or path.is_symlink()), None)
    if there is not None:
        raise Refused(f"{there} is there already; nothing was written. Name an empty directory.", kind="file-exists")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in paths:
            write_atomically(path, texts[path.name])
    except OSError as error:
        raise WorkspaceError(f"{directory} cannot be written ({error.strerror}); name another directory.") from error
    return paths
