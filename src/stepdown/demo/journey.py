"""The whole journey once, in a fresh workspace, each stage believed only when rows, files and trace show it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stepdown.acts.clear import clear, mark
from stepdown.acts.opening import open_workspace
from stepdown.demo.acts import Acts
from stepdown.demo.themes import THEMES, Theme
from stepdown.workspace import Settings


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the journey.

    Attributes:
        name: What was done.
        seconds: How long it took.
        observed: Whether what should follow from it was seen.
        evidence: What was seen.
    """

    name: str
    seconds: float
    observed: bool
    evidence: str


@dataclass(slots=True)
class Demo:
    """The journey.

    Attributes:
        directory: Where the fresh workspace is made.
        seed: Decides everything that is drawn.
        theme: What it is about.
        stages: What was done so far.
    """

    directory: Path
    seed: int
    theme: Theme = THEMES["grid_ctf"]
    stages: list[Stage] = field(default_factory=list)

    def play(self, show: Callable[[int, int, str], None]) -> list[Stage]:
        """Play every stage, and stop at the first whose promise was not kept.

        Raises:
            Refused: The directory holds something that no earlier demo made.
        """
        clear(self.directory)
        # Nothing here outlives a power cut that matters: without waiting for the disk the journey takes half the time.
        with open_workspace(self.directory, settings=Settings(durability="normal")) as workspace:
            mark(workspace, finished=False)
            acts = Acts(workspace, self.seed, self.theme, show)
            while (act := acts.next()) is not None:
                name = act[0]
                show(len(self.stages), len(self.stages) + 1 + len(acts.left), name)
                began = workspace.settings.clock.monotonic()
                observed, evidence = act[1]()
                seconds = workspace.settings.clock.monotonic() - began
                self.stages.append(Stage(name, seconds, observed, evidence))
                mark(workspace, finished=False)
                if not observed:
                    break
            mark(workspace, finished=True)
            show(len(self.stages), len(self.stages), "done")
        return self.stages
