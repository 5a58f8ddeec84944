"""Tasks that ship as files alone, read from the package as `stepdown init` writes them."""

from functools import cache
from importlib.resources import files

from stepdown.scenarios import task_files
from stepdown.scenarios.tasks import TASK, Task

EXAMPLES = ("tickets",)


def contents(example: str) -> dict[str, str]:
    """Return the files of an example by name."""
    folder = files("stepdown.scenarios").joinpath(example)
    return {path.name: path.read_text("utf-8") for path in sorted(folder.iterdir(), key=lambda path: path.name)}


@cache
def tickets() -> Task:
    """Return the task `tickets`: messages to a shop, and the team that should read each."""
    texts = contents("tickets")
    settings = task_files.settings(texts[TASK])
    return task_files.task(
        settings,
        texts[settings.instructions],
        task_files.schema(texts[settings.schema], settings.schema),
        task_files.cases(texts[settings.cases], settings.cases),
        settings.cases,
    )
