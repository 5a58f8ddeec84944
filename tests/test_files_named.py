"""Whatever lies where a person names a file, a command says so in a sentence, waits for nothing, and leaves nothing behind."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from stepdown import files
from stepdown.cli import main
from stepdown.errors import InvalidValue
from stepdown.scenarios.shipped import contents as shipped
from stepdown.scenarios.task_files import schema, settings
from stepdown.training.plan import Plan
from test_manners import answered

Make = Callable[[Path], object]


def bound(path: Path) -> None:
    """Bind a socket, by a name that is short enough for one."""
    with chdir(path.parent), socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


NO_FILES: dict[str, Make] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": bound,
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "device without end": lambda path: path.symlink_to("/dev/zero"),
    "device without anything": lambda path: path.symlink_to("/dev/null"),
    "nothing": lambda _: None,
}
NO_TEXTS: dict[str, Make] = {
    "empty": lambda path: path.write_bytes(b""),
    "nulls": lambda path: path.write_bytes(b"\0" * 100),
    "Latin-1": lambda path: path.write_bytes("é = 'ü'\n".encode("latin-1")),
    "UTF-16": lambda path: path.write_bytes('{"a": 1}'.encode("utf-16")),
    "arrays without end": lambda path: path.write_text("[" * 100_000),
    "objects without end": lambda path: path.write_text('{"input":' * 50_000),
    "a number without end": lambda path: path.write_text('{"input": ' + "9" * 6_000 + "}"),
    "half a character": lambda path: path.write_text('{"input": "\\ud800", "role": "competitor", "text": "\\ud800"}'),
    "what a terminal obeys": lambda path: path.write_text("\x1b[31mred\x07 = 1\n"),
}

TASK_FILES = ("stepdown.toml", "cases.jsonl", "answer.schema.json", "instructions.txt", "prompt.txt", "judge.txt")
SURFACES: dict[str, tuple[str, list[str]]] = {
    **{file: (file, ["run", "--generations", "1", "--candidates", "1"]) for file in TASK_FILES},
    "log": ("old.jsonl", ["import", "old.jsonl", "--scenario", "grid_ctf"]),
    "tape": ("tape.jsonl", ["run", "--scenario", "grid_ctf", "--frontier", "recorded:tape.jsonl"]),
    "plan": ("plan.json", ["train", "DATASET", "--plan", "plan.json"]),
    "dataset": ("data", ["train", "./data"]),
    "base": ("model.gguf", ["base", "import", "model.gguf"]),
    "base's folder": ("model", ["base", "add", "model"]),
}
TEXTS_ALLOWED = {
    # A text may be what it likes, but for what no prompt can hold.
    **{(file, kind): {0} for file in ("instructions.txt",) for kind in NO_TEXTS if kind not in ("empty", "nulls")},
    ("instructions.txt", "Latin-1"): {2},
    ("instructions.txt", "UTF-16"): {2},
    ("tape", "what a terminal obeys"): {2},
}


@pytest.fixture
def place(handed_down: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task that names all of its files, and beside it a workspace in which something was handed down."""
    (tmp_path / "task").mkdir()
    for name, text in shipped("tickets").items():
        (tmp_path / "task" / name).write_text(text, "utf-8")
    toml = (tmp_path / "task" / "stepdown.toml").read_text("utf-8")
    toml = toml.replace('name = "tickets"', 'name = "mine"\nprompt = "prompt.txt"')
    (tmp_path / "task" / "stepdown.toml").write_text(toml, "utf-8")
    (tmp_path / "task" / "prompt.txt").write_text("$case")
    (tmp_path / "task" / "judge.txt").write_text("$answer")
    shutil.copytree(handed_down, tmp_path / "done")
    monkeypatch.chdir(tmp_path / "task")
    return tmp_path


def ends(
    place: Path, surface: str, make: Make, allowed: set[int], capsys: pytest.CaptureFixture[str]
) -> tuple[str, str]:
    """Put something where a command looks for a file, and claim that the command ends well."""
    file, words = SURFACES[surface]
    path = place / "task" / file
    if path.exists():
        path.unlink()
    make(path)
    if surface == "judge.txt":
        toml = path.with_name("stepdown.toml").read_text("utf-8")
        judged = '[judge]\nkind = "model"\nprovider = "labels"\nprompt = "judge.txt"'
        path.with_name("stepdown.toml").write_text(
            toml.replace("[judge]", judged, 1).replace('\nkind = "choice"', "", 1)
        )
    (dataset,) = [each.name for each in (place / "done" / "datasets").iterdir()]
    needs_more = surface in ("plan", "dataset", "base", "base's folder")
    root = place / "done" if needs_more else place / "task" / "new"
    before = sorted(place.rglob("*"))

    code = main([*(dataset if word == "DATASET" else word for word in words), "-w", str(root)])
    out, err = capsys.readouterr()

    answered(code, out, err)
    assert code in allowed, (code, err)
    assert code == 0 or sorted(place.rglob("*")) == before, "something was left behind"
    assert "set_int_max" not in err
    assert "codec" not in err
    return out, err


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("surface", SURFACES)
def test_what_is_no_file_is_refused_and_not_waited_for(
    surface: str, kind: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if surface == "stepdown.toml" and kind == "nothing":
        pytest.skip("Without a task's file, no task is meant.")
    if (surface, kind) == ("log", "device without anything"):
        pytest.skip("A log may be a stream, and this one is empty.")
    ends(place, surface, NO_FILES[kind], {2, 3, 5}, capsys)


@pytest.mark.parametrize("kind", NO_TEXTS)
@pytest.mark.parametrize("surface", [each for each in SURFACES if each not in ("dataset", "base's folder")])
def test_what_is_no_text_of_its_kind_is_refused_in_words(
    surface: str, kind: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(place, surface, NO_TEXTS[kind], TEXTS_ALLOWED.get((surface, kind), {2}), capsys)


@pytest.mark.parametrize("change", ["byte order mark", "CRLF", "CR"])
@pytest.mark.parametrize("surface", TASK_FILES)
def test_a_text_of_another_system_or_editor_is_read_as_it_is_meant(
    surface: str, change: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = SURFACES[surface][0]
    data = (place / "task" / file).read_bytes()
    ends_of_lines = {"CRLF": b"\r\n", "CR": b"\r"}
    changed = data.replace(b"\n", ends_of_lines[change]) if change in ends_of_lines else b"\xef\xbb\xbf" + data
    ends(place, surface, lambda path: path.write_bytes(changed), {0}, capsys)


@pytest.mark.parametrize(
    "name",
    ["a%20b?c#d", "new\nline", "é" * 100, "é" * 100 + ".toml", "e\u0301", ":bomb:", "[red]", "-rf", "\udcff", "~"],
)
def test_a_task_in_a_folder_of_any_name_runs(
    name: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = (place / "task").rename(place / name)
    monkeypatch.chdir(folder)

    code = main(["run", "--generations", "1", "--candidates", "1"])

    answered(code, *capsys.readouterr())
    assert code == 0
    assert {path.name for path in place.iterdir()} == {name, "done"}


@pytest.mark.parametrize(
    "words",
    [
        ["import", "NAME"], ["train", "NAME"], ["train", "DATASET", "--plan", "NAME"], ["base", "import", "NAME"],
        ["base", "add", "NAME"], ["base", "verify", "NAME"], ["run", "--frontier", "recorded:NAME"], ["report", "NAME"],
        ["bundles", "show", "NAME"], ["export", "--run", "NAME"], ["init", "NAME"], ["harness", "disable", "NAME"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize(
    "name", ["n" * 300, "n" * 5000, "\x1b[31m", "\ud800", "a\nb", "日本" * 200], ids=lambda name: ascii(name[:9])
)
def test_a_name_that_no_file_has_is_refused_in_a_sentence(
    words: list[str], name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset,) = [each.name for each in (place / "done" / "datasets").iterdir()]
    line = [word.replace("NAME", name).replace("DATASET", dataset) for word in words]
    if words[0] == "init" and len(name) < 9:
        pytest.skip("That is a name of a folder that can be made.")
    before = sorted(place.rglob("*"))

    line += ["--scenario", "grid_ctf"] if words[0] in ("import", "run") else []
    line += ["-w", str(place / "done")] if words[0] != "init" else []

    code = main(line)
    out, err = capsys.readouterr()

    answered(code, out, err)
    assert code in (2, 3, 5, 7)
    assert not any(c in out + err for c in "\x1b\x07")
    assert sorted(place.rglob("*")) == before


def test_a_file_is_read_within_bounds_and_leaves_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa\r\nb\rc")
    assert files.text(tmp_path / "x") == "a\nb\nc"
    assert files.contents(tmp_path / "x", 10) == b"\xef\xbb\xbfa\r\nb\rc"
    with pytest.raises(ValueError, match="larger than"):
        files.contents(tmp_path / "x", 8)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    count = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    for name in ("folder", "pipe"):
        with pytest.raises(ValueError, match="no file"):
            files.contents(tmp_path / name)
    assert sys.platform != "linux" or len(list(Path("/proc/self/fd").iterdir())) == count


@pytest.mark.parametrize(
    "value", ["9" * 5000, "0x" + "F" * 5000, "-" + "9" * 30, "[1, 99999999999999999999]", "{a = 0x8000000000000000}"]
)
def test_a_whole_number_of_toml_has_64_bits(value: str) -> None:
    with pytest.raises(InvalidValue, match=r"is no TOML: a (whole )?number in it has more"):
        settings(f'name = "x"\nversion = {value}\n[judge]\nkind = "exact"\n')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"$ref":"http://127.0.0.1:1/x"}', "none is fetched"),
        ('{"items":{"$ref":"file:///etc/passwd"}}', "none is fetched"),
        ('{"$ref":"#"}', "without end"),
        ('{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}', "without end"),
        ('{"properties":{"a":{"$ref":"#/nosuch"}}}', "does not have"),
        ('{"const":"\\ud800"}', "half a character"),
    ],
)
def test_a_schema_that_nobody_could_hold_an_answer_against_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidValue, match=why):
        schema(text, "answer.schema.json")


@pytest.mark.parametrize(
    "text",
    ['{"enum":[{"$ref":"x"}]}', '{"properties":{"$ref":{"type":"string"}}}', '{"$ref":"#/$defs/a","$defs":{"a":{}}}'],
)
def test_a_schema_may_name_its_own_parts_and_hold_any_data(text: str) -> None:
    assert schema(text, "answer.schema.json") == json.loads(text)


@pytest.mark.parametrize("value", ["1" + "0" * 400, "-1" + "0" * 400, "NaN", "1e999", "null", "true", '"x"', "[]"])
@pytest.mark.parametrize("name", ["layers", "iterations", "learning_rate"])
def test_a_plan_takes_no_number_out_of_its_limits_however_long(name: str, value: str) -> None:
    with pytest.raises(InvalidValue, match=f"plan: {name} must be") as refusal:
        Plan.parse(f'{{"{name}": {value}}}')
    assert len(str(refusal.value)) < 200
    assert not any(word in str(refusal.value) for word in ("None", "True"))
