"""A log of another system teaches, and is never taken for something that happened here."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import count, tape
from stepdown.acts.ask import judge, live
from stepdown.acts.export import export
from stepdown.acts.imports import ILLEGAL, KEPT, NO_CASE, read
from stepdown.acts.imports import bring as record
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.errors import InvalidValue, NotFound, Refused, StepdownError
from stepdown.history import reader, rows
from stepdown.scenarios.shipped import tickets
from stepdown.scenarios.tasks import COMPARISON, HELD_OUT, Task
from stepdown.training import logs
from stepdown.training.logs import LogEntry, Skipped, entry
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.history import history
from stepdown.workspace import Settings, Workspace

TASK = "tickets"


@pytest.fixture
def opened(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    with open_workspace(tmp_path / "workspace", settings=Settings(durability="normal")) as workspace:
        yield workspace


def bring(
    workspace: Workspace, path: Path, scenario: str, *, by: str = "zoe", why: str = "", **options: Any
) -> rows.Log:
    """Read a log and record it."""
    return record(workspace, read(workspace.scenario(scenario), path, **options), by=by, why=why)


def asked(seed: int, label: str | None = None, task: Task | None = None) -> dict[str, str]:
    """Return a case's text and its right label, or another one."""
    case = (task or tickets()).case(seed)
    return {"prompt": case.input["text"], "completion": json.dumps(label or case.expected)}


def chat(question: str, answer: str | None, **more: Any) -> dict[str, Any]:
    """Return a conversation of one turn, as fine-tuning files have it."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer, **more}]}


def gateway(question: str, answer: str, **more: Any) -> dict[str, Any]:
    """Return a logged request and its response, with the five keys of a data flywheel."""
    asked = [{"role": "system", "content": "Do."}, {"role": "user", "content": question}]
    choice = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop", **more}
    return {
        "timestamp": 1_764_000_000,
        "workload_id": "w",
        "client_id": "c",
        "request": {"model": "asked-for", "messages": asked},
        "response": {"model": "big-1", "choices": [choice]},
    }


def write(path: Path, lines: list[Any]) -> Path:
    """Write a log."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (chat("why?", "so"), LogEntry("why?", "so")),
        ({"prompt": "why?", "completion": "so", "model": "small"}, LogEntry("why?", "so", "small")),
        (gateway("why?", "so"), LogEntry("why?", "so", "big-1")),
        (
            chat("why?", None, tool_calls=[{"function": {"name": "answer", "arguments": '{"a":1}'}}]),
            LogEntry("why?", '{"a":1}'),
        ),
        (
            {**chat("why?", None, tool_calls=[{"function": {"name": "answer", "arguments": {"a": 1}}}]), "tools": [{}]},
            LogEntry("why?", '{"a":1}'),
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "why"}, {"type": "text", "text": "?"}]},
                          {"role": "assistant", "content": "so"}]},
            LogEntry("why?", "so"),
        ),
    ],
)  # fmt: skip
def test_every_form_of_a_line_is_one_question_and_one_answer(line: Any, said: LogEntry) -> None:
    assert entry(json.dumps(line).encode(), "log line 1") == said


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([], logs.UNKNOWN),
        ("text", logs.UNKNOWN),
        ({}, logs.UNKNOWN),
        ({"messages": "text"}, logs.UNKNOWN),
        ({"messages": [1]}, logs.UNKNOWN),
        ({"messages": []}, logs.NO_ANSWER),
        ({"messages": [{"role": "user", "content": "why?"}]}, logs.NO_ANSWER),
        ({"messages": [{"role": "assistant", "content": "so"}]}, logs.NO_QUESTION),
        (chat("why?", ""), logs.NO_ANSWER),
        (chat("", "so"), logs.NO_QUESTION),
        (chat("why?", None, tool_calls=[{}, {}]), "it calls several tools"),
        (
            {"messages": [*chat("why?", "so")["messages"], *chat("and?", "so")["messages"]]},
            logs.SEVERAL_TURNS,
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, *chat("", "so")["messages"][1:]]}, logs.NO_TEXT),
        ({"request": {}, "response": {"error": "rate limit"}}, logs.NO_ANSWER),
        (gateway("why?", "so", finish_reason="length"), logs.CUT_OFF),
    ],
)  # fmt: skip
def test_what_is_no_single_question_and_answer_is_skipped_with_its_reason(line: Any, reason: str) -> None:
    with pytest.raises(Skipped, match=reason):
        entry(json.dumps(line).encode(), "log line 1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messages", "role", "content", "request", "response", "choices", "message", "prompt", "completion", "tool_calls",
             "function", "arguments", "type", "text", "model"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_whatever_a_line_holds_it_is_read_or_skipped(value: Any) -> None:
    try:
        found: LogEntry | str = entry(json.dumps(value).encode(), "log line 1")
    except Skipped as skipped:
        found = str(skipped)

    assert found if isinstance(found, str) else found.question.strip() and isinstance(found.reply, str)


def test_a_log_is_exported_learned_from_and_counted_as_nothing_that_happened(opened: Workspace, tmp_path: Path) -> None:
    task = tickets()
    right, wrong = [asked(seed) for seed in range(60)], [asked(seed, "account") for seed in range(60, 70)]
    stranger = {"prompt": "The lamp hums at night.", "completion": '"returns"'}
    held = [asked(HELD_OUT), asked(COMPARISON + 1)]
    path = write(tmp_path / "old.jsonl", [*right, *wrong, stranger, *held, asked(71, "no label"), {"messages": []}])

    log = bring(opened, path, TASK, by="zoe", why="what we had")

    assert (log.id, log.lines, log.exchanges) == ("log-1", 75, 71)
    assert log.skipped == {ILLEGAL: 1, KEPT: 2, logs.NO_ANSWER: 1}
    assert [count(opened, kind) for kind in (rows.Step, rows.Attempt, rows.Run)] == [0, 0, 0]
    assert not opened.trace.exists() or opened.trace.read_bytes() == b""
    assert differences(opened) == []
    with opened.reading() as connection:
        exchanges = list(reader.exchanges(connection, TASK, "competitor"))
    assert [each.score for each in exchanges[:60]] == [1.0] * 60
    assert exchanges[-1].score is None
    assert [event.kind for event in history(opened)] == ["import"]
    good = export(opened, Filters(TASK, min_score=1.0, imported=True))
    assert good.records == 60 + sum(task.case(seed).expected == "account" for seed in range(60, 70))
    assert export(opened, Filters(TASK, imported=True)).records == 71
    with pytest.raises(StepdownError, match="No step passes"):
        export(opened, Filters(TASK, min_score=1.0))
    trained = localize(opened, good.path, plan=Plan.tiny(iterations=20))
    assert trained.evaluation.seeds == len(task.holdout_seeds())
    assert differences(opened) == []


def test_the_same_file_is_brought_in_once(opened: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path / "old.jsonl", [asked(seed) for seed in range(3)])

    assert bring(opened, path, TASK) == bring(opened, path.rename(tmp_path / "renamed.jsonl"), TASK)
    assert count(opened, rows.Exchange) == 3


def test_a_pattern_finds_the_case_in_the_words_around_it(opened: Workspace, tmp_path: Path) -> None:
    lines = [
        gateway(f"Which label?\n---\n{asked(seed)['prompt']}\n---", asked(seed)["completion"]) for seed in range(5)
    ]
    path = write(tmp_path / "old.jsonl", [*lines, gateway("another prompt", '"billing"')])

    log = bring(opened, path, TASK, pattern=r"---\n(.*)\n---")

    with opened.reading() as connection:
        found = list(reader.exchanges(connection, TASK, "competitor"))
    assert [(each.seed, each.score, each.model) for each in found] == [(seed, 1.0, "big-1") for seed in range(5)]
    assert log.skipped == {"the pattern finds no case in its question": 1}


def test_a_case_of_several_names_is_a_json_object(opened: Workspace, tmp_path: Path) -> None:
    case = {"enemy_spawn_bias": 0.5, "resource_density": 0.25}
    answer = '{"aggression": 0.6, "defense": 0.4, "path_bias": 0.5}'
    lines = [chat(json.dumps(case), answer), chat(json.dumps({"enemy_spawn_bias": 1}), answer), chat("go", answer)]

    log = bring(opened, write(tmp_path / "old.jsonl", lines), "grid_ctf")

    assert log.skipped == {NO_CASE: 2}
    assert differences(opened) == []


@pytest.mark.parametrize(
    ("column", "value", "finding"),
    [
        ("score", 0.5, "score"),
        ("strategy", '"billing"', "answer"),
        ("prompt", "asked otherwise", "prompt"),
        ("seed", 7, "seed"),
        ("reply", '"technical"', "answer"),
    ],
)
def test_an_exchange_that_was_changed_is_found(
    opened: Workspace, tmp_path: Path, column: str, value: Any, finding: str
) -> None:
    bring(opened, write(tmp_path / "old.jsonl", [asked(0), {"prompt": "Who?", "completion": '"account"'}]), TASK)
    with opened.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER exchange_update")
        connection.exec_driver_sql(f"UPDATE exchange SET {column} = ? WHERE line = 1", (value,))

    assert any(finding in str(difference) for difference in differences(opened))


def test_an_exchange_that_was_taken_away_is_missed(opened: Workspace, tmp_path: Path) -> None:
    bring(opened, write(tmp_path / "old.jsonl", [asked(0), asked(1)]), TASK)
    with opened.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER exchange_delete")
        connection.exec_driver_sql("DELETE FROM exchange WHERE line = 1")

    assert any(each.where == "log-1" for each in differences(opened))


@pytest.mark.parametrize(
    ("content", "options", "error", "said"),
    [
        (b"", {}, InvalidValue, "No line of old.jsonl became an exchange;"),
        (b"\n\n", {}, InvalidValue, "No line"),
        (b'{"prompt": "a", "completion": "billing"}\n{"prom', {}, InvalidValue, "old.jsonl line 2 is no JSON"),
        (b"\xff\xfe{", {}, InvalidValue, "line 1 is no JSON"),
        (b"[" * 100_000, {}, InvalidValue, "line 1 is no JSON"),
        (b'{"prompt": "a", "completion": "b"}', {}, InvalidValue, "none that the scenario accepts"),
        (b'{"prompt": "a\\ud800", "completion": "1"}', {}, InvalidValue, "cannot be kept"),
        (b'{"prompt": "a\\u0000", "completion": "1"}', {}, InvalidValue, "cannot be kept"),
        (
            b'{"prompt": "a", "prompt": "b", "completion": "1"}',
            {},
            InvalidValue,
            'line 1 is no JSON .*"prompt" stands twice',
        ),
        (b'{"a": [{"b": 1, "b": 1}], "prompt": "a", "completion": "1"}', {}, InvalidValue, '"b" stands twice'),
        (b"{}", {"role": "coach"}, Refused, "coach"),
        (b"{}", {"role": "nosuch"}, NotFound, "no role"),
        (b"{}", {"pattern": "("}, InvalidValue, "no regular expression"),
        (
            b'{"prompt": "%s!", "completion": "billing"}' % (b"a" * 40),
            {"pattern": "^(a|aa|a)+$"},
            InvalidValue,
            "could not be held against its question in time",
        ),
        (b'{"prompt": "a", "completion": "\\"billing\\""}', {"by": " "}, InvalidValue, "name"),
    ],
)
def test_what_cannot_be_brought_in_is_told_in_a_sentence_and_leaves_nothing(
    opened: Workspace, tmp_path: Path, content: bytes, options: dict[str, Any], error: type[StepdownError], said: str
) -> None:
    path = tmp_path / "old.jsonl"
    path.write_bytes(content)

    with pytest.raises(error, match=said):
        bring(opened, path, TASK, **options)

    assert (count(opened, rows.Log), count(opened, rows.Exchange)) == (0, 0)


CALLED = (
    b'{"messages": [{"role": "user", "content": "why?"}, '
    b'{"role": "assistant", "tool_calls": [{"function": {"arguments": %s}}]}]}'
)


@pytest.mark.parametrize(
    "arguments",
    [b'{"score": NaN}', b"-Infinity", b"[1e999]", b'{"text": "\\ud800"}', b'{"\\udfff": 1}'],
)
def test_what_a_tool_was_called_with_and_nobody_can_keep_is_skipped_with_its_reason(arguments: bytes) -> None:
    with pytest.raises(Skipped, match=logs.UNKEPT):
        entry(CALLED % arguments, "log line 1")


def test_a_mark_of_byte_order_and_line_ends_of_another_system_say_nothing(opened: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(json.dumps(asked(seed)).encode() + b"\r\n" for seed in (0, 1)))

    assert bring(opened, path, TASK).exchanges == 2


def test_a_pipe_that_nobody_writes_into_is_not_waited_for(opened: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    os.mkfifo(path)

    with pytest.raises(InvalidValue, match="No line"):
        bring(opened, path, TASK)


def test_a_line_without_end_is_read_no_further(opened: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(InvalidValue, match="line 1 is longer than 64 MiB"):
        bring(opened, path, TASK)


def test_the_command_says_what_became_of_each_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "old.jsonl", [asked(0), asked(1, "no label")])
    where = ["-w", str(tmp_path / "workspace"), "-s", TASK]

    assert main(["import", str(path), *where]) == 0

    said = capsys.readouterr().out
    assert "log-1  1 exchanges of 2 lines of old.jsonl" in said
    assert f"skipped 1: {ILLEGAL}" in said
    assert main(["import", str(tmp_path / "none.jsonl"), "-w", str(tmp_path / "fresh"), "-s", TASK]) == 2
    assert not (tmp_path / "fresh").exists()
    assert main(["export", "--imported", *where]) == 0


@pytest.mark.parametrize("scenario", ["invoices", TASK])
def test_a_question_that_somebody_brought_stands_on_one_side_however_it_came(
    opened: Workspace, tmp_path: Path, scenario: str
) -> None:
    """Asked live in words or by the seed of a case of the scenario, and logged elsewhere: it is one question."""
    playing = opened.scenario(scenario)
    own = {str(*playing.observation(seed).values()): seed for seed in range(12)}
    brought = [f"{text} (again, {number})" for number in range(4) for text in own]
    reply = next(probe.reply for probe in playing.probes() if probe.legal)
    with live(opened, scenario, frontier=f"recorded:{tape(tmp_path / 'tape.jsonl', [reply])}") as desk:
        for case in (*own.values(), *({"text": text} for text in (*brought, *own))):
            judge(opened, desk.ask(case).call or "", 1.0, by="zoe", why="right")
    lines = [{"prompt": text, "completion": reply} for text in (*brought, *own)]
    bring(opened, write(tmp_path / "log.jsonl", lines), scenario)
    made = export(opened, Filters(scenario, imported=True))

    sides: dict[str, set[str]] = {}
    for side in ("train", "valid"):
        for line in (made.path / f"{side}.jsonl").read_text("utf-8").splitlines():
            sides.setdefault(json.loads(line)["prompt"], set()).add(side)
    assert len(sides) == len(own) + len(brought)
    assert {side for each in sides.values() for side in each} == {"train", "valid"}
    assert [prompt for prompt, each in sides.items() if len(each) > 1] == []
