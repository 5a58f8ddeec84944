"""The second witness: whole lines in order, from many processes at once, and never silent when it cannot be written."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import Hands, Scripted, failing, move
from stepdown.errors import ProviderError, WorkspaceError
from stepdown.providers import trace
from stepdown.providers.protocol import Completion, Request
from stepdown.providers.trace import KEYS, Line
from stepdown.providers.traced import Traced

LINE = Line("start", "run-1/1/0/1", "local", "competitor", "b" * 64, "stepdown-local", "b" * 64, Hands().instant)

words = st.text(max_size=20)
maybe = st.none() | words


@given(
    st.builds(
        Line,
        event=st.sampled_from(["start", "end"]),
        call=words,
        target=words,
        role=words,
        bundle=maybe,
        requested_provider=words,
        requested_model=words,
        at=st.datetimes(timezones=st.just(UTC)),
        reply=maybe,
        error_type=maybe,
        error=maybe,
        digest=maybe,
        input_tokens=st.none() | st.integers(0, 2**31 - 1),
        duration=st.none() | st.floats(0, 1e6),
    )
)
def test_a_line_is_read_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, line: Line) -> None:
    path = tmp_path_factory.getbasetemp() / "one.jsonl"
    path.unlink(missing_ok=True)
    trace.write(path, line, durable=False)

    assert list(trace.lines(path)) == [line]
    assert path.read_bytes().count(b"\n") == 1


def test_no_file_is_no_line(tmp_path: Path) -> None:
    assert list(trace.lines(tmp_path / "trace.jsonl")) == []


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_line_hides_itself_and_no_other(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "trace.jsonl"
    for number in range(3):
        trace.write(path, replace(LINE, call=f"call-{number}"), durable=False)
    path.write_bytes(path.read_bytes()[:-cut])
    trace.write(path, replace(LINE, call="after"), durable=True)

    assert [line.call for line in trace.lines(path)] == ["call-0", "call-1", *(["call-2"] * (cut == 1)), "after"]


def test_bytes_that_are_no_text_hide_one_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    trace.write(path, LINE, durable=False)
    with path.open("ab") as file:
        file.write(b"\xff\xfe{}\n[1]\nnull\n{}\n")
    trace.write(path, LINE, durable=False)

    assert list(trace.lines(path)) == [LINE, LINE]


WRITER = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from stepdown.providers.trace import Line, write
for number in range(40):
    call = f"{sys.argv[2]}/{number}"
    line = Line("end", call, "local", "competitor", None, "p", "m", datetime.now(UTC), reply="x" * 5000)
    write(Path(sys.argv[1]), line, durable=False)
"""
"""Lines that need more than one page each, from a process of its own."""


def test_processes_that_write_at_once_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(writer)]) for writer in range(3)]
    assert [process.wait() for process in writers] == [0, 0, 0]

    found = [line.call for line in trace.lines(path)]
    assert sorted(found) == sorted(f"{writer}/{number}" for writer in range(3) for number in range(40))
    for writer in range(3):
        mine = [call for call in found if call.startswith(f"{writer}/")]
        assert mine == [f"{writer}/{number}" for number in range(40)]


def test_a_full_disk_is_said_before_any_provider_is_asked(tmp_path: Path) -> None:
    asked = Scripted([move(0, 0, 0)])
    full = Path("/dev/full")
    with pytest.raises(WorkspaceError, match="No space left on device"):
        Traced(asked, "frontier", None, full, Hands().clock, durable=False).complete(request())

    assert asked.asked == []
    assert os.path.lexists(full)
    assert list(tmp_path.iterdir()) == []


CHILD = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from stepdown.errors import WorkspaceError
from stepdown.providers import trace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    for number in range(10):
        line = trace.Line("start", str(number), "local", "competitor", None, "p", "m" * 100, datetime.now(UTC))
        trace.write(Path(sys.argv[1]), line, durable=False)
except WorkspaceError as error:
    print(number, error)
"""


def test_what_was_written_before_the_disk_was_full_stays_readable(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    tests = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=False, env=tests
    )

    number, _, sentence = done.stdout.partition(" ")
    assert "cannot be written" in sentence, done.stderr
    assert path.stat().st_size <= 1000
    assert [line.call for line in trace.lines(path)] == [str(n) for n in range(int(number))]


def request() -> Request:
    """Return a question."""
    return Request("run-1/1/0/1", "competitor", "prompt", {}, 0, 1.0)


def witnessed(provider: Scripted, path: Path) -> Completion:
    """Ask a provider in front of its witness."""
    return Traced(provider, "frontier", None, path, Hands().clock, durable=True).complete(request())


def test_a_call_leaves_a_line_before_it_and_one_after_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    answer = witnessed(Scripted(["a reply"], digest="d" * 64), path)

    start, end = trace.lines(path)
    assert (start.event, start.reply, start.provider, start.duration) == ("start", None, None, None)
    assert (end.event, end.reply, end.provider, end.model) == ("end", answer.reply, "scripted", "script-1")
    assert (end.digest, end.input_tokens, end.output_tokens, end.duration) == ("d" * 64, 7, 5, 0.0)
    assert start.call == end.call == "run-1/1/0/1"


def test_a_failed_call_says_how_it_failed(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with pytest.raises(ProviderError):
        witnessed(failing("rate-limit"), path)

    _, end = trace.lines(path)
    assert (end.error_type, end.error, end.reply, end.provider) == (
        "rate-limit", "It was told to fail with rate-limit.", None, None,
    )  # fmt: skip


@pytest.mark.parametrize("broken", [RuntimeError("boom"), ValueError(), KeyError("x"), RecursionError(), MemoryError()])
def test_whatever_a_provider_throws_is_a_failed_call_with_its_name(tmp_path: Path, broken: Exception) -> None:
    path = tmp_path / "trace.jsonl"
    with pytest.raises(ProviderError) as failure:
        witnessed(Scripted([broken]), path)

    _, end = trace.lines(path)
    assert end.error_type == failure.value.error_type == type(broken).__name__


def test_the_answering_model_is_not_an_echo_of_the_requested_one(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    witnessed(Scripted(["a reply"], model="script-latest", answering="script-1-of-march"), path)

    _, end = trace.lines(path)
    assert (end.requested_model, end.model) == ("script-latest", "script-1-of-march")


def test_instants_in_the_file_are_utc_and_names_are_those_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    witnessed(Scripted(["a reply"]), path)

    for line in map(json.loads, path.read_text("utf-8").splitlines()):
        assert line.keys() <= set(KEYS.values())
        assert datetime.fromisoformat(line["time"]).utcoffset() == UTC.utcoffset(None)


def test_a_trace_that_cannot_be_read_is_a_sentence_and_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").mkdir()

    with pytest.raises(WorkspaceError, match="cannot be read"):
        list(trace.lines(tmp_path / "trace.jsonl"))
