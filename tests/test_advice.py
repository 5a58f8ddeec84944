"""A command that a sentence advises is one that there is, and for the workspace that was named: it is copied as it stands."""

import ast
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepdown
from stepdown.cli import main
from stepdown.cli.advice import advised, choose, spelled
from stepdown.reports.advice import WITHOUT, for_workspace, quoted
from test_manners import COMMANDS, FORMS

HOUSE = Path(stepdown.__file__).parent
NAMES = {" ".join(path) for path, _ in COMMANDS}
GROUPS = {path[0] for path, _ in COMMANDS}
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def written() -> Iterator[tuple[str, str]]:
    """Yield every text of the house that is no docstring, with a word for each value in it, and where it stands."""
    for path in (each for each in sorted(HOUSE.rglob("*.py")) if each.name != "advice.py"):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        texts = [node for node in nodes if isinstance(node, ast.JoinedStr)]
        apart = {id(part) for node in texts for part in node.values}
        apart |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "VALUE" for part in node.values]
                yield f"{path.relative_to(HOUSE)}:{node.lineno}", "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
                yield f"{path.relative_to(HOUSE)}:{node.lineno}", node.value


ADVICE = [
    (where, span)
    for where, text in written()
    for span in SPAN.findall(text)
    if span.split()[0] in {*GROUPS, "stepdown"} and " " in span
]


def test_there_is_advice_to_look_at() -> None:
    assert len(ADVICE) > 25


@pytest.mark.parametrize(("where", "span"), ADVICE, ids=lambda each: each)
def test_every_advised_command_is_written_in_full_and_exists(where: str, span: str) -> None:
    word, *rest = span.split()

    assert word == "stepdown", f"{where}: nothing completes `{span}`"
    if not rest[0].startswith("-") and rest[0] != "VALUE":
        assert rest[0] in NAMES or " ".join(rest[:2]) in NAMES, where
    assert WITHOUT.match(" ".join(rest)) or for_workspace(f"`{span}`", "w") == f"`{span} -w w`"


def test_sentences_beside_the_results_are_printed_in_one_place() -> None:
    users = [
        path.name for path in (HOUSE / "cli").glob("*.py") if re.search(r"\berr\(\)\s*\.", path.read_text("utf-8"))
    ]

    assert users == ["output.py"]


def heard(line: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the commands that a line advises, on both streams, in sentences and in JSON."""
    main(line)
    out, err = capsys.readouterr()
    return [
        span for text in (out, err) for span in SPAN.findall(re.sub(r"\s+", " ", text)) if span.startswith("stepdown ")
    ]


WRONG = [
    ["report", "run-99"], ["bundles", "show", "nosuch"], ["bundles", "show", "fffffff"], ["train", "nosuch"],
    ["export", "--run", "x"],
    ["promote", "BUNDLE", "--resume", "run-99"], ["run", "--resume", "run-99"], ["run", "--resume", "run-1"],
    ["promote", "BUNDLE", "--resume", "run-1"], ["base", "verify", "nosuch"], ["train", "DATASET", "--base", "nosuch"],
    ["bundles", "activate", "BUNDLE"], ["bundles", "delete", "BUNDLE"], ["bundles", "prune"], ["doctor"],
    ["import", "old.jsonl"],
    ["promote", "BUNDLE", "--budget", "32", "--margin", "0.001"], ["report", "run-3"], ["report", "run-3", "--json"],
    ["promote", "BUNDLE", "--budget", "32", "--resume", "run-3"], ["bundles", "list"], ["bundles", "list", "--json"],
    ["bundles", "show", "BUNDLE"], ["bundles", "show", "BUNDLE", "--json"], ["route", "--explain"], ["route", "--json"],
    ["run", "--generations", "1", "--candidates", "1", "--frontier", "recorded:none.jsonl"], ["scan"],
    ["scan", "--scenario", "invoices"],
    ["policy", "set", "run_tokens=1"], ["run", "--generations", "2", "--candidates", "2", "--seed", "8"], ["report", "run-4"],
    ["report", "run-4", "--json"], ["policy", "set", "run_tokens=inf", "frontier_never=competitor"], ["promote", "BUNDLE"],
    ["train", "DATASET", "--plan", "PLAN"], ["bundles", "list", "--json"], ["doctor", "--json"],
]  # fmt: skip


def test_whatever_a_command_advises_names_the_workspace(
    handed_down: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(handed_down, tmp_path / "another place")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.json").write_text('{"iterations": 1, "seed": 9}')
    exchange = {"prompt": '{"enemy_spawn_bias": 0.5, "resource_density": 0.25}', "completion": '{"aggression": 0.6}'}
    exchange["completion"] = '{"aggression": 0.6, "defense": 0.4, "path_bias": 0.5}'
    (tmp_path / "old.jsonl").write_text(json.dumps(exchange))
    (bundle,), (dataset,) = ([path.name for path in (root / room).iterdir()] for room in ("bundles", "datasets"))
    names = {"BUNDLE": bundle, "DATASET": dataset, "PLAN": str(tmp_path / "plan.json")}
    lines = [[names.get(word, word) for word in line] for line in WRONG]
    spans = [(line, span) for line in lines for span in heard([*line, "-w", "another place"], capsys)]

    assert len(spans) > 20
    assert {span.split()[1] for _, span in spans} >= {"report", "bundles", "export", "run", "promote"}
    for line, span in spans:
        words = shlex.split(span)
        assert "--help" in words or words[-2:] == ["-w", "another place"], (line, span)
        assert words.count("-w") == ("--help" not in words)


@pytest.mark.parametrize("line", [line for line in FORMS if line[0] not in ("init", "demo")], ids=" ".join)
def test_where_there_is_no_workspace_the_advice_names_the_one_that_was_meant(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPDOWN_WORKSPACE", "the usual one")
    if line in (["run"], ["ask", "3"]):
        pytest.skip("They begin work, and make a workspace.")

    assert all("-w elsewhere" in span for span in heard([*line, "-w", "elsewhere"], capsys) if "--help" not in span)
    assert not any("-w" in span for span in heard(line, capsys))
    assert not any("-w" in span for span in heard([*line, "-w", "the usual one"], capsys))


@pytest.mark.parametrize(
    "name",
    ["w", "two words", "it's", "new\nline", "a  b", "tab\t", "es\x1b[31mc", "`tick`", "日本",
     "ünï", "\udcff", "$HOME", "-w", "[b]", ":bomb:"]
)  # fmt: skip
def test_a_shell_reads_a_quoted_name_as_it_is(name: str) -> None:
    shown = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(name)}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )

    assert shown.stdout == name.encode("utf-8", "surrogateescape")
    assert all(c.isprintable() or "\udc80" <= c <= "\udcff" for c in quoted(name))
    choose(Path(name))
    assert advised("`stepdown report` lists them.") == f"`stepdown report -w {quoted(name)}` lists them."
    assert spelled(Path(name), "report") == f"stepdown report -w {quoted(name)}"
    choose()


def test_what_takes_no_workspace_or_names_one_stays_as_it_is() -> None:
    for sentence in (
        "`stepdown init` begins a task.", "`stepdown --debug …` shows it.", "`stepdown import --help` says so.",
        "`stepdown run -w here` goes on.", "Nothing is advised.", "A `word` and `pip install stepdown`.",
    ):  # fmt: skip
        assert for_workspace(sentence, "there") == sentence
    assert for_workspace("`stepdown run` or `stepdown ask 3`.", "") == "`stepdown run` or `stepdown ask 3`."
