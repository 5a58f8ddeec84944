"""The frontier on tape: it says what was recorded, and a file that is no tape is refused."""

import json
from pathlib import Path

import pytest

from journey import FRONTIER, attempts, discover, steps
from stepdown.errors import InvalidValue, NotFound, ProviderError
from stepdown.providers.installed import frontier_named
from stepdown.providers.protocol import Request
from stepdown.providers.recorded import Recorded
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.views.audit import differences
from stepdown.workspace import Workspace


def request(role: str = "competitor") -> Request:
    """Return a question."""
    return Request("call", role, "prompt", {}, 0, 1.0)


def test_each_role_has_its_replies_in_order_and_from_the_start_again() -> None:
    tape = Recorded({"competitor": [{"text": "a"}, {"text": "b"}], "coach": [{"text": "c"}]})

    said = [tape.complete(request(role)).reply for role in ("competitor", "coach", "competitor", "coach", "competitor")]
    assert said == ["a", "c", "b", "c", "a"]


def test_a_recorded_failure_fails_again() -> None:
    with pytest.raises(ProviderError) as failure:
        Recorded({"competitor": [{"error": "rate-limit"}]}).complete(request())

    assert failure.value.error_type == "rate-limit"


def test_a_role_that_was_not_recorded_fails() -> None:
    with pytest.raises(ProviderError, match="no reply for the role coach"):
        Recorded({"competitor": [{"text": "a"}]}).complete(request("coach"))


def test_it_fails_while_it_is_told_to() -> None:
    tape = Recorded({"competitor": [{"text": "a"}]}, failing="transport")
    with pytest.raises(ProviderError):
        tape.complete(request())

    tape.failing = None
    assert tape.complete(request()).reply == "a"


@pytest.mark.parametrize(
    "text",
    ["", "\n", "not json", "[]", "{}", '{"role":"competitor"}', '{"role":"competitor","text":3}', '{"text":"a"}', "3"],
)
def test_a_file_that_is_no_tape_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_text(text)

    with pytest.raises(InvalidValue, match="tape"):
        Recorded.load(path)


def test_bytes_that_are_no_text_are_no_tape(tmp_path: Path) -> None:
    (tmp_path / "tape.jsonl").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InvalidValue):
        Recorded.load(tmp_path / "tape.jsonl")


@pytest.mark.parametrize("spec", ["", "searching", "recorded", "recorded:", "search:deep", "Search"])
def test_a_word_that_names_no_frontier_is_refused(spec: str) -> None:
    with pytest.raises(
        (NotFound, InvalidValue), match=r"choose one of .*recorded, search|like recorded:PATH|no argument"
    ):
        frontier_named(spec, GridCtf())


def test_the_shipped_tape_is_judged_reply_by_reply(workspace: Workspace) -> None:
    run = discover(workspace, candidates=8, frontier=f"recorded:{FRONTIER}")

    recorded = [row for row in map(json.loads, FRONTIER.read_text("utf-8").splitlines()) if row["role"] == "competitor"]
    found = steps(workspace, run.id)
    tried = [attempts(workspace, step)[0] for step in found]
    assert [attempt.reply for attempt in tried] == [row["text"] for row in recorded]
    assert [attempt.input_tokens for attempt in tried] == [row["input_tokens"] for row in recorded]
    illegal = [attempt for attempt in tried if attempt.error_type == "invalid-output"]
    assert len(illegal) == 4
    assert all(attempt.refusals for attempt in illegal)
    assert [step.error for step in found if step.outcome == "failed"] == ["invalid-output"] * 4
    assert differences(workspace) == []
