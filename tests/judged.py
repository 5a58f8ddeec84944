"""A task that a model judges, and a judge of somebody's own on the path, as pip would leave it."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from journey import Hands
from stepdown.acts.opening import open_workspace
from stepdown.providers.installed import GROUP
from stepdown.providers.labels import Labels
from stepdown.providers.protocol import Completion, Request
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.points import nowhere
from stepdown.workspace.task import Beside

TOML = 'name = "ours"\nversion = 1\n[judge]\nkind = "model"\nprovider = "strict"\nprompt = "judge.txt"\n'
PROMPT = "Do: $instructions\nCase: $case\nRight: $expected\nAnswer: $answer\n"

OURS = """
import json, os, threading
from stepdown.errors import ProviderError
from stepdown.providers.protocol import Completion

calls = []

class Strict:
    name, model = "strict", "rules-1"
    concurrency = int(os.environ.get("STRICT_TOGETHER", "1"))

    def __init__(self):
        self.here = threading.Barrier(self.concurrency)

    def complete(self, request):
        if self.concurrency > 1:
            self.here.wait(20)
        calls.append(request.call)
        if len(calls) % int(os.environ.get("STRICT_SILENT", "1000000")) == 0:
            raise ProviderError("It says nothing.", error_type="silence")
        right = request.prompt.partition("Right: ")[2].partition("\\n")[0]
        given = request.prompt.partition("Answer: ")[2]
        score = 1 if given == right else 0.25
        return Completion(json.dumps({"score": score, "why": "It compared."}), self.name, self.model, None, 11, 3)

def make(argument, scenario):
    return Strict()
"""
"""A judge by rules. STRICT_SILENT=N makes every N-th call fail, and with STRICT_TOGETHER=N none answers before N are there."""


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the judge on the path."""
    (tmp_path / "strict_judge.py").write_text(OURS)
    info = tmp_path / "strict_judge-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strict-judge\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nstrict = strict_judge:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "strict_judge", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-Zq8vN3kR7wLx1TbYc5")


def write(
    directory: Path, *, toml: str = TOML, prompt: str | None = PROMPT, cases: list[dict[str, object]] | None = None
) -> Path:
    """Write a task of sixty numbered cases that a model judges."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = cases or [{"input": f"case {number}", "expected": number % 3} for number in range(60)]
    (directory / "stepdown.toml").write_text(toml, "utf-8")
    (directory / "cases.jsonl").write_text("\n".join(map(json.dumps, listed)), "utf-8")
    (directory / "answer.schema.json").write_text("{}", "utf-8")
    (directory / "instructions.txt").write_text("Count.", "utf-8")
    if prompt is not None:
        (directory / "judge.txt").write_text(prompt, "utf-8")
    return directory


def opened(
    directory: Path, *, reached: Callable[[str], None] = nowhere, cache: Path | None = None, hands: Hands | None = None
) -> Workspace:
    """Open the workspace beside a task."""
    clock = (hands or Hands()).clock
    settings = Settings(clock=clock, durability="normal", scenario=Beside(directory), reached=reached, cache=cache)
    return open_workspace(directory / ".stepdown", settings=settings)


def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, str, float]]]:
    """Return what the labels are shown from now on, by call: generation, text and score of each example."""
    shown: dict[str, list[tuple[int, str, float]]] = {}
    real = Labels.complete

    def noted(self: Labels, request: Request) -> Completion:
        shown[request.call] = [(each.generation, each.text, each.score) for each in request.examples]
        return real(self, request)

    monkeypatch.setattr(Labels, "complete", noted)
    return shown


def edit(workspace: Workspace, statement: str) -> None:
    """Change history behind everybody's back."""
    with sqlite3.connect(workspace.engine.url.database or "") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute(statement)
