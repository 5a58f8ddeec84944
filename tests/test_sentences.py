"""A sentence says what happened in words: no exception of Python's shows through, whatever the system or a library threw."""

import ast
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import stepdown
from journey import active
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.errors import Refused, StepdownError, in_one_line, of_code
from stepdown.history import rows
from stepdown.providers.recorded import Recorded
from stepdown.training.promotion import Trial
from stepdown.views.audit import differences
from stepdown.views.runs import runs
from stepdown.workspace import Settings

HOUSE = Path(stepdown.__file__).parent
OWN_WORDS = {"errors.py", "cli/outermost.py", "providers/reply.py"}
"""Where somebody else's exceptions become words; the last one keeps the class as the trace's `error.type`."""


def handlers() -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Yield every `except … as name` of the house."""
    for path in sorted(HOUSE.rglob("*.py")):
        where = path.relative_to(HOUSE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ExceptHandler) and node.name:
                yield where, node


def raw(handler: ast.ExceptHandler) -> Iterator[str]:
    """Yield how a handler puts its exception into a text as Python shows it."""
    system = any(
        isinstance(node, ast.Name) and node.id in ("OSError", "Exception", "BaseException", "KeyError")
        for node in ast.walk(handler.type or ast.Constant(None))
    )
    for node in ast.walk(handler):
        if isinstance(node, ast.FormattedValue):
            name = isinstance(node.value, ast.Name) and node.value.id == handler.name
            if name and (node.conversion == ord("r") or system):
                yield ast.unparse(node)
            if ast.unparse(node.value) == f"type({handler.name}).__name__":
                yield ast.unparse(node)


def test_no_handler_puts_an_exception_into_a_sentence_as_python_shows_it() -> None:
    assert [(where, each) for where, handler in handlers() if where not in OWN_WORDS for each in raw(handler)] == []


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.ELOOP])
def test_what_the_system_refuses_is_said_by_its_words_and_the_files_name(code: int) -> None:
    for say in (in_one_line, of_code):
        said = say(OSError(code, os.strerror(code), "/a/long/way/model.safetensors"))
        assert said.startswith("model.safetensors")
        assert not any(word in said for word in ("Error", "Errno", "/a/long"))
        assert "Err" not in say(OSError(code, os.strerror(code)))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("files"), "it lacks 'files'"),
        (RecursionError("maximum recursion depth exceeded"), "it is nested too deep"),
        (MemoryError(), "there is not enough memory for it"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "it is not UTF-8"),
        (TypeError("'int' object is not iterable"), "a part of it is not of the form that it should have"),
        (RuntimeError("[metal] no device.\n"), "[metal] no device"),
        (RuntimeError(), "it does not say why"),
    ],
    ids=repr,
)
def test_what_a_library_throws_is_said_in_words(error: Exception, said: str) -> None:
    assert in_one_line(error) == said


@pytest.mark.parametrize(
    "lines", [None, "[]", '{"role": 1}', '{"text": "x"}', "{", '{"role": "competitor", "text": 5}']
)
def test_a_tape_that_is_none_is_refused_in_words(lines: str | None, tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    if lines is not None:
        path.write_text(lines)

    with pytest.raises(StepdownError, match="is not a tape of recorded replies: ") as refused:
        Recorded.load(path)
    assert "Error" not in str(refused.value)


DELETE = "import sys; from stepdown.cli import main; sys.exit(main(sys.argv[1:]))"


def test_a_bundle_that_another_terminal_deletes_while_it_is_compared_is_said_to_be_removed(
    handed_down: Path, tmp_path: Path, settings: Settings
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "workspace")

    def deleted(point: str) -> None:
        (bundle,) = [each.name for each in (root / "bundles").iterdir()] or [""]
        if point == "act-recorded" and bundle:
            line = ["bundles", "delete", bundle, "--yes", "-w", str(root)]
            subprocess.run([sys.executable, "-c", DELETE, *line], check=True, capture_output=True, timeout=60)

    with open_workspace(root, settings=replace(settings, reached=deleted)) as workspace:
        with pytest.raises(Refused, match="was removed while it was compared") as refused:
            promote(workspace, active(workspace).id, trial=Trial(margin=0.1, budget=32))

        (*_, (run, ending)) = runs(workspace)
        assert (run.purpose, ending.outcome if ending else None) == (rows.COMPARISON, "failed")
        assert ending is not None
        assert "Error" not in str(refused.value) + ending.error
        assert refused.value.kind == "bundle-absent"
        assert differences(workspace) == []
