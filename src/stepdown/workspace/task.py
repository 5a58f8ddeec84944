"""The task beside a workspace: `stepdown.toml` in the directory that the workspace lies in, and the files it names."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stepdown import files
from stepdown.errors import InvalidValue, NotFound, in_one_line
from stepdown.providers.installed import names as providers
from stepdown.scenarios import installed, judging, task_files
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.tasks import TASK, Task


@dataclass(slots=True)
class Beside:
    """Finds scenarios by name: those that are installed, and the task beside a workspace, which is read once, when asked for.

    Attributes:
        directory: Where the task's own file may lie.
        otherwise: Finds the others.
    """

    directory: Path
    otherwise: Callable[[str], Scenario] = installed.scenario_named
    _task: Task | None = None

    def __call__(self, name: str) -> Scenario:
        """Return the scenario of that name.

        Raises:
            NotFound: There is none.
            InvalidValue: A file of the task is wrong, or the task has the name of an installed scenario.
        """
        if not _lies_in(self.directory):
            return self.otherwise(name)
        if name in installed.names():
            if task_files.settings(_text(self.directory, TASK)).name == name:
                raise InvalidValue(
                    f"{self.directory / TASK}: the name {name} is an installed scenario's; choose another."
                )
            return self.otherwise(name)
        self._task = self._task or read(self.directory)
        if self._task is None or self._task.name != name:
            names = [*installed.names(), *([self._task.name] if self._task is not None else [])]
            raise NotFound(f"There is no scenario {name!r}; choose one of {', '.join(names)}.", kind="unknown-scenario")
        return self._task


def named(directory: Path) -> task_files.TaskSettings | None:
    """Return what a directory's task says of itself, or None where there is no task's file.

    Raises:
        InvalidValue: There is one, and it is wrong.
    """
    return task_files.settings(_text(directory, TASK)) if _lies_in(directory) else None


def read(directory: Path) -> Task | None:
    """Return the task of a directory, or None where there is no task's file.

    Raises:
        InvalidValue: There is one, and it or a file that it names is wrong; with file and line.
    """
    if not _lies_in(directory):
        return None
    settings = task_files.settings(_text(directory, TASK))
    if judging.by_model(settings.judge):
        settings = replace(settings, judge=_judging(directory, settings.judge))
    return task_files.task(
        settings,
        _text(directory, settings.instructions),
        task_files.schema(_text(directory, settings.schema), settings.schema),
        task_files.cases(_text(directory, settings.cases), settings.cases),
        settings.cases,
        task_files.prompts(_text(directory, settings.prompt), settings.prompt) if settings.prompt else None,
    )


def _judging(directory: Path, judge: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings of a judging model with the text of its prompt.

    Raises:
        InvalidValue: No such provider is installed, or the prompt is missing or has the wrong blanks.
    """
    if judge["provider"] not in providers():
        line = task_files.line_of(_text(directory, TASK), "judge")
        raise InvalidValue(
            f"{directory / TASK}{line}: judge: there is no provider {judge['provider']!r}; choose one of "
            f"{', '.join(providers())}."
        )
    file = judge["prompt"]
    return {**judge, "text": judging.checked_text(_text(directory, file), file)}


def _lies_in(directory: Path) -> bool:
    """Tell whether a task's file lies in a directory, whatever it is: a link that leads nowhere is somebody's slip."""
    return os.path.lexists(directory / TASK)


def _text(directory: Path, name: str) -> str:
    path = directory / name
    try:
        return files.text(path)
    except FileNotFoundError as error:
        raise InvalidValue(f"{path} is missing; {TASK} names it.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidValue(f"{path} line {line} is not UTF-8.") from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else in_one_line(error)
        raise InvalidValue(f"{path} cannot be read ({why}); {TASK} names it.") from error
