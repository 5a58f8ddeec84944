"""Hosted models over real HTTP: every way a call can end is one word, in time, and the key is nowhere."""

import contextlib
import gzip
import json
import logging
import pickle
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from journey import BEST, attempts, steps
from rotation import part
from scripted_server import (
    Play,
    Server,
    cuts,
    floods,
    hangs,
    hangs_up,
    never_begins,
    never_ends,
    says,
    serving,
)
from stepdown.acts.configure import set_policy
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.errors import InvalidValue, ProviderError, StepdownError
from stepdown.providers import trace
from stepdown.providers.anthropic import Anthropic
from stepdown.providers.installed import frontier_named
from stepdown.providers.openai import OpenAI
from stepdown.providers.outcomes import CallOutcome, wait_asked
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.views.audit import differences
from stepdown.views.runs import story
from stepdown.workspace import Settings

KEY = "sk-test-Zq8vN3kR7wLx1TbYc5"
MODEL = "model-large-2026-11"
SCENARIO = GridCtf()

Provider = OpenAI | Anthropic
Make = Callable[[Server], Provider]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_BASE_URL",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_AUTH_TOKEN",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def openai(server: Server) -> OpenAI:
    return OpenAI("large", server.url, pause=0.01)


def anthropic(server: Server) -> Anthropic:
    return Anthropic("large", server.url.removesuffix("/v1"), pause=0.01)


BOTH = pytest.mark.parametrize("make", [openai, anthropic])


def request(limit: float = 5.0, **changes: Any) -> Request:
    made = Request("run/1/0/1", "competitor", "strategy:", SCENARIO.schema(), 7, limit, instructions="Play well.")
    return replace(made, **changes)


def chat(text: str | None = BEST, **changes: Any) -> dict[str, Any]:
    """A chat completion as OpenAI answers."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {
        "prompt_tokens": 90,
        "completion_tokens": 30,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 11},
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [choice],
        "usage": usage,
        **changes,
    }


def message(text: str = BEST, **changes: Any) -> dict[str, Any]:
    """A message as Anthropic answers."""
    usage = {
        "input_tokens": 26,
        "cache_read_input_tokens": 64,
        "cache_creation_input_tokens": 0,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 11},
    }
    content = [{"type": "text", "text": text}]
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": content}
    return {**said, "stop_reason": "end_turn", "usage": usage, **changes}


def good(make: Make) -> Play:
    """The service's own whole answer."""
    return says(200, chat() if make is openai else message(), x_request_id="req_42")


def ending(choice: dict[str, Any]) -> dict[str, Any]:
    """A chat completion whose one choice ends otherwise."""
    whole = chat()
    return {**whole, "choices": [{**whole["choices"][0], **choice}]}


SLACK = 20.0
"""Seconds after its limit within which a failure counts as one in time: a loaded machine imports an SDK in some of them."""


def failed(provider: Provider, limit: float = 5.0) -> ProviderError:
    """Ask, and return the failure; it must come, and not with the end of what the server says."""
    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        provider.complete(request(limit))
    assert time.monotonic() - began < max(0, limit) + SLACK
    return caught.value


@BOTH
def test_an_answer_is_what_the_service_says_of_it(make: Make) -> None:
    with serving(good(make)) as server:
        provider = make(server)
        answer = provider.complete(request())

    finish = "stop" if make is openai else "end_turn"
    assert answer == Completion(BEST, provider.name, MODEL, None, 90, 30, 64, 11, "req_42", finish)
    assert provider.name == f"{make.__name__}@127.0.0.1:{server.port}"


@BOTH
def test_the_prompt_is_one_user_message_after_the_rules_and_the_schema_stands_beside_it(make: Make) -> None:
    with serving(good(make)) as server:
        make(server).complete(request())

    (asked,) = server.requests
    (said,) = asked.body["messages"]
    assert said == {"role": "user", "content": "Play well.\n\nstrategy:"}
    form = asked.body["response_format"]["json_schema"] if make is openai else asked.body["output_config"]["format"]
    assert form["schema"] == json.loads(json.dumps(SCENARIO.schema()))
    assert KEY in asked.headers["authorization"]


@BOTH
def test_where_a_reply_is_no_json_nobody_asks_for_any_and_nothing_is_learned_of_the_server(make: Make) -> None:
    bad = says(400, {"error": {"message": "The prompt is too long."}})
    with serving(good(make), bad) as server:
        provider = make(server)
        answer = provider.complete(request(schema=None))
        with pytest.raises(ProviderError):
            provider.complete(request(schema=None))

    assert answer.notes == ()
    assert len(server.requests) == 2, "there is nothing to leave out and ask again without"
    for asked in server.requests:
        assert not asked.body.keys() & {"response_format", "output_config"}
        assert "JSON" not in asked.body["messages"][0]["content"]
    assert not provider.learned.refused


@BOTH
@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_a_schema_gets_it_in_the_prompt_and_that_is_noted(make: Make, status: int) -> None:
    with serving(says(status, {"error": {"message": "unknown parameter"}}), good(make)) as server:
        provider = make(server)
        first, second = provider.complete(request()), provider.complete(request())

    beside = "response_format" if make is openai else "output_config"
    assert [beside in asked.body for asked in server.requests] == [True, False, False]
    assert '"aggression"' in server.requests[1].body["messages"][0]["content"]
    assert first.notes == (f"try 1: bad-request {status}", "asked again with the schema in the prompt")
    assert second.notes == ("the schema is in the prompt: the server refused it beside it",)


@BOTH
def test_a_request_that_is_bad_in_either_form_is_a_bad_request_and_teaches_nothing_of_the_server(make: Make) -> None:
    bad = says(400, {"error": {"message": "The prompt is too long."}})
    with serving(bad, bad, good(make)) as server:
        provider = make(server)
        error = failed(provider)
        answer = provider.complete(request())

    assert error.error_type == "bad-request"
    assert "The prompt is too long." in str(error)
    assert answer.notes == ()


STATUS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    413: "bad-request",
    429: "rate-limit",
    500: "server-error",
    503: "server-error",
    529: "server-error",
    302: "malformed-reply",
}


@BOTH
@pytest.mark.parametrize(("status", "word"), STATUS.items())
def test_a_status_is_a_word_and_what_may_pass_is_tried_again(make: Make, status: int, word: str) -> None:
    elsewhere = {"Location": "http://127.0.0.1:1/"} if status == 302 else {}
    with serving(says(status, {"error": {"message": "No."}}, x_request_id="req_9", **elsewhere)) as server:
        error = failed(make(server))

    assert error.error_type == word
    passing = word in ("rate-limit", "server-error")
    tries = [note for note in error.notes if note.startswith("try")]
    assert tries == [f"try {n + 1}: {word} {status}, request req_9" for n in range(4 if passing else 1)]
    assert len(server.requests) == len(tries)


@BOTH
def test_tries_before_an_answer_are_noted_with_it(make: Make) -> None:
    busy = says(429, {"error": {"message": "Slow down."}}, Retry_After="0.2")
    with serving(busy, hangs_up, good(make)) as server:
        began = time.monotonic()
        answer = make(server).complete(request())

    assert time.monotonic() - began >= 0.2
    assert [note.partition(",")[0] for note in answer.notes[:3]] == [
        "try 1: rate-limit 429",
        "waited 0.2 s",
        "try 2: connection",
    ]


@BOTH
def test_a_wait_longer_than_the_time_left_is_not_begun(make: Make) -> None:
    with serving(says(429, {"error": {"message": "Slow down."}}, Retry_After="60")) as server:
        began = time.monotonic()
        error = failed(make(server), limit=2)

    assert time.monotonic() - began < 1
    assert (error.error_type, len(server.requests)) == ("rate-limit", 1)
    assert "a wait of 60 s is longer than" in str(error)


@BOTH
@pytest.mark.parametrize(
    ("play", "word"),
    [
        (hangs, "timeout"),
        (never_ends, "timeout"),
        (never_begins, "timeout"),
        (cuts, "connection"),
        (hangs_up, "connection"),
        (floods, "malformed-reply"),
        (says(200, b"<html><body>Welcome!</body></html>", Content_Type="text/html"), "malformed-reply"),
        (says(200, b"{"), "malformed-reply"),
        (says(200, b""), "malformed-reply"),
        (says(200, b"[" * 100_000), "malformed-reply"),
        (says(200, b"\xff\xfe"), "malformed-reply"),
        (says(200, gzip.compress(b" " * 2**24), Content_Encoding="gzip"), "malformed-reply"),
        (says(200, []), "malformed-reply"),
        (says(200, {}), "malformed-reply"),
        (says(200, "text"), "malformed-reply"),
        (says(200, {"choices": None, "content": None}), "malformed-reply"),
        (says(200, {"choices": [None], "content": [None]}), "malformed-reply"),
        (says(200, {"choices": {"0": 1}, "content": {"0": 1}}), "malformed-reply"),
        (says(200, {"choices": [], "content": []}), "no-choice"),
    ],
)
def test_whatever_a_server_does_is_one_word_in_time(make: Make, play: Play, word: str) -> None:
    with serving(play) as server:
        assert failed(make(server), limit=1).error_type == word


BAD_DAYS: dict[str, tuple[Play | None, str]] = {
    "down": (None, "connection"),
    "slow": (hangs, "timeout"),
    "cut off": (cuts, "connection"),
    "HTML": (says(200, b"<html>Welcome!</html>", Content_Type="text/html"), "malformed-reply"),
    "401": (says(401, {"error": {"message": "No."}}), "unauthorized"),
    "429": (says(429, {"error": {"message": "Slow down."}}), "rate-limit"),
    "429 with Retry-After": (says(429, {"error": {"message": "Slow down."}}, Retry_After="60"), "rate-limit"),
    "500": (says(500, {"error": {"message": "Oh."}}), "server-error"),
    "no choice": (says(200, {**chat(), "choices": []}), "no-choice"),
    "finish_reason length": (says(200, ending({"finish_reason": "length"})), "cut-off"),
    "a stream that never ends": (never_ends, "timeout"),
}


@pytest.mark.parametrize("day", part(list(BAD_DAYS), of=3))
def test_whatever_a_server_does_a_run_says_so_and_history_is_whole(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, day: str
) -> None:
    play_, word = BAD_DAYS[day]
    with contextlib.ExitStack() as open_:
        server = open_.enter_context(serving(play_)) if play_ is not None else Server([], port=1)
        workspace = open_.enter_context(open_workspace(tmp_path / "w", settings=settings))
        set_policy(workspace, {"frontier_timeout": 1.0})
        run = play(start(workspace, "grid_ctf", generations=1, candidates=1, frontier=f"openai:large@{server.url}"))
        (step,) = steps(workspace, run.id)
        (attempt,) = attempts(workspace, step)
        summary = story(workspace, run.id)

    assert (step.outcome, step.error, attempt.error_type, attempt.reply) == ("failed", word, word, None)
    assert attempt.error
    assert attempt.error.endswith(".")
    assert summary.ending is not None
    assert (summary.ending.outcome, word in (summary.ending.error or "")) == ("failed", True)
    with open_workspace(tmp_path / "w", settings=settings) as again:
        assert differences(again) == []


@BOTH
def test_a_server_that_is_down_is_a_connection_that_failed(make: Make) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        error = failed(make(Server([], port=held.getsockname()[1])))

    assert error.error_type == "connection"
    assert [note for note in error.notes if note.startswith("try")] == [f"try {n}: connection" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("make", "body", "word"),
    [
        (openai, ending({"finish_reason": "length"}), "cut-off"),
        (openai, ending({"finish_reason": "content_filter"}), "content-filter"),
        (openai, ending({"message": {"content": None, "refusal": "I will not."}}), "refusal"),
        (openai, ending({"message": {"content": None, "tool_calls": []}}), "malformed-reply"),
        (anthropic, message(stop_reason="max_tokens"), "cut-off"),
        (anthropic, message(stop_reason="model_context_window_exceeded"), "cut-off"),
        (anthropic, message(stop_reason="refusal"), "refusal"),
        (anthropic, message(content=[{"type": "tool_use", "id": "t", "name": "n", "input": {}}]), "malformed-reply"),
    ],
)
def test_an_answer_that_is_none_says_why(make: Make, body: dict[str, Any], word: str) -> None:
    with serving(says(200, body)) as server:
        assert failed(make(server)).error_type == word
        assert len(server.requests) == 1


def test_of_two_choices_the_first_is_taken_and_that_is_noted() -> None:
    whole = chat()
    other = {"index": 1, "finish_reason": "stop", "message": {"content": "other"}}
    with serving(says(200, {**whole, "choices": [*whole["choices"], other]})) as server:
        answer = openai(server).complete(request())

    assert (answer.reply, answer.notes) == (BEST, ("2 choices, the first is taken",))


@BOTH
@pytest.mark.parametrize("text", [f"```json\n{BEST}\n```", f"Sure! Here it is: {BEST}", f" {BEST}\n", ""])
def test_a_reply_in_a_fence_or_behind_a_preamble_comes_as_it_is(make: Make, text: str) -> None:
    with serving(says(200, chat(text) if make is openai else message(text))) as server:
        assert make(server).complete(request()).reply == text


@BOTH
def test_counts_that_a_service_does_not_state_are_unknown(make: Make) -> None:
    body = chat() if make is openai else message()
    with serving(says(200, {**body, "usage": None})) as server:
        answer = make(server).complete(request())

    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens, answer.reasoning_tokens) == (None,) * 4


def test_a_retry_after_is_read_as_seconds_milliseconds_or_a_date_and_else_not() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert wait_asked({"retry-after": "2"}, now) == 2
    assert wait_asked({"retry-after-ms": "1500", "retry-after": "2"}, now) == 1.5
    assert wait_asked({"retry-after": "Fri, 27 Nov 2026 12:00:30 GMT"}, now) == 30
    assert wait_asked({"retry-after": "Fri, 27 Nov 2026 11:00:00 GMT"}, now) == 0
    for nothing in ({}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": "inf"}, {"retry-after": ""}):
        assert wait_asked(nothing, now) is None


def frontier_word(make: Make, server: Server) -> str:
    return f"{make.__name__}:large@{server.url if make is openai else server.url.removesuffix('/v1')}"


def everything(root: Path) -> bytes:
    """Every byte of every file below a directory."""
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def echoes(status: int, make: Make) -> Play:
    """Answer with the key in every place that the service has for a text."""
    headers = {"X_Request_Id": f"req {KEY}", "Content_Type": "application/json", "Retry_After": "0"}
    if status >= 400:
        return says(status, {"error": {"message": f"Incorrect key {KEY}.", "code": KEY}}, **headers)
    body = chat(f"your key is {KEY}") if make is openai else message(f"your key is {KEY}")
    return says(status, {**body, "model": f"model {KEY}"}, **headers)


@BOTH
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_a_key_that_a_server_echoes_is_in_no_file_no_error_and_no_word(
    tmp_path: Path, settings: Settings, caplog: pytest.LogCaptureFixture, make: Make, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(echoes(status, make)) as server, open_workspace(tmp_path / "w", settings=settings) as workspace:
        run = play(start(workspace, "grid_ctf", generations=1, candidates=2, frontier=frontier_word(make, server)))
        found = [attempt for step in steps(workspace, run.id) for attempt in attempts(workspace, step)]
        assert differences(workspace) == []

    assert server.requests
    assert all(KEY in str(asked.headers) for asked in server.requests)
    assert found
    assert KEY not in repr(found)
    assert KEY not in caplog.text
    assert KEY.encode() not in everything(tmp_path)
    assert b"[key]" in everything(tmp_path)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize("inside", ["\n", "\x7f", "ä"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_told(
    monkeypatch: pytest.MonkeyPatch, name: str, inside: str
) -> None:
    monkeypatch.setenv(f"{name.upper()}_API_KEY", f"{KEY}{inside}{KEY}")

    with pytest.raises(InvalidValue, match="set it again") as caught:
        frontier_named(f"{name}:large", SCENARIO)

    assert KEY not in str(caught.value)


@BOTH
def test_a_provider_holds_no_key_whatever_is_made_of_it(make: Make) -> None:
    with serving(echoes(401, make)) as server:
        provider = make(server)
        error = failed(provider)

    assert KEY not in repr(provider) + str(asdict(provider)) + repr(error) + str(vars(error))
    assert KEY.encode() not in pickle.dumps(provider)
    assert error.__cause__ is None
    assert error.__context__ is None


@BOTH
@pytest.mark.parametrize(
    "url", [f"http://user:{KEY}@h/v1", f"http://{KEY}@h/v1", f"https://h/v1?key={KEY}", "http://", "http://h:x/"]
)
def test_an_address_that_carries_a_secret_is_refused_before_anything_is_written(
    tmp_path: Path, settings: Settings, make: Make, url: str
) -> None:
    with open_workspace(tmp_path / "w", settings=settings) as workspace, pytest.raises(InvalidValue) as caught:
        start(workspace, "grid_ctf", generations=1, candidates=1, frontier=f"{make.__name__}:large@{url}")

    assert "keys come from the environment alone" in str(caught.value)
    assert KEY not in str(caught.value)
    assert KEY.encode() not in everything(tmp_path)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_service_without_a_key_or_a_model_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for word in (name, f"{name}:", f"{name}:@http://h/v1"):
        with pytest.raises(InvalidValue, match=f"name it like {name}:MODEL"):
            frontier_named(word, SCENARIO)
    monkeypatch.delenv(f"{name.upper()}_API_KEY")
    with pytest.raises(InvalidValue, match=f"{name.upper()}_API_KEY"):
        frontier_named(f"{name}:large", SCENARIO)
    assert frontier_named(f"{name}:large@http://127.0.0.1:1", SCENARIO).name == f"{name}@127.0.0.1:1"


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_missing_sdk_is_a_sentence_that_names_the_extra(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(InvalidValue, match=rf"pip install 'stepdown\[{name}\]'"):
        frontier_named(f"{name}:large", SCENARIO)


@BOTH
def test_a_masked_key_in_a_servers_words_is_not_kept(make: Make) -> None:
    said = {"error": {"message": "Incorrect API key provided: sk-test-****bYc5. Find yours elsewhere."}}
    with serving(says(401, said)) as server:
        error = failed(make(server))

    assert "provided: [key] Find yours" in str(error)


@BOTH
@pytest.mark.parametrize("limit", [1e18, float("inf")])
def test_any_time_limit_can_be_counted(make: Make, limit: float) -> None:
    with serving(good(make)) as server:
        assert make(server).complete(request(limit)).reply == BEST


@BOTH
@pytest.mark.parametrize("limit", [0, -1])
def test_no_time_is_a_timeout(make: Make, limit: float) -> None:
    with serving(good(make)) as server:
        assert failed(make(server), limit).error_type == "timeout"


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert frontier_named(f"{name}:org/large", SCENARIO).name == name
    monkeypatch.setenv(f"{name.upper()}_BASE_URL", "http://127.0.0.1:8080/v1")

    provider = frontier_named(f"{name}:org/large@rev", SCENARIO)

    assert (provider.name, provider.model) == (f"{name}@127.0.0.1:8080", "org/large@rev")


@BOTH
def test_a_run_on_a_hosted_frontier_is_true_and_its_trace_says_what_the_service_said(
    tmp_path: Path, settings: Settings, make: Make
) -> None:
    busy = says(503, {"error": {"message": "Busy."}}, Retry_After="0")
    with serving(busy, good(make)) as server, open_workspace(tmp_path / "w", settings=settings) as workspace:
        run = play(start(workspace, "grid_ctf", generations=1, candidates=1, frontier=frontier_word(make, server)))
        (step,) = steps(workspace, run.id)
        assert differences(workspace) == []

    assert step.outcome == "served"
    (end,) = [
        line for line in trace.lines(tmp_path / "w" / "trace.jsonl") if line.event == "end" and line.role != "coach"
    ]
    assert (end.model, end.cached_tokens, end.reasoning_tokens, end.request_id) == (MODEL, 64, 11, "req_42")
    assert end.notes == "try 1: server-error 503\nwaited 0 s"


@BOTH
def test_calls_at_once_do_not_share_their_ends(make: Make) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(provider: Provider, limit: float) -> str:
        with contextlib.suppress(StepdownError):
            return provider.complete(request(limit)).reply
        return "failed"

    slow: Play = lambda handler: (time.sleep(0.6), good(make)(handler))[1]  # noqa: E731
    with serving(slow) as server, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda limit: ask(make(server), limit), [0.2, 5, 0.2, 5, 0.2, 5]))

    assert answers == ["failed", BEST] * 3


def test_every_outcome_is_a_word_that_never_changes() -> None:
    assert [outcome.value for outcome in CallOutcome] == [
        "timeout", "connection", "rate-limit", "unauthorized", "forbidden", "not-found", "bad-request", "server-error",
        "refusal", "content-filter", "cut-off", "no-choice", "malformed-reply",
    ]  # fmt: skip
