"""Hosted models on loopback: stepdown asks them over real HTTP in either of two languages, and they keep their own log.

What the server is told to do stands in the URL, so that it serves every process of a machine alike and remembers nothing of
them but how often a question came.
"""

from __future__ import annotations

import json
import os
import re
import threading
import zlib
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from stateful import papers
from stepdown.providers.anthropic import Anthropic
from stepdown.providers.extract import extract
from stepdown.providers.hosted import Fallback
from stepdown.providers.installed import frontier_named
from stepdown.providers.openai import OpenAI
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.invoices import Invoices
from stepdown.scenarios.protocol import Scenario
from stepdown_machine.protocol import UNPRICED

LANGUAGES = ("openai", "anthropic")
MODEL = "tape"
"""What is asked for; the server answers as a snapshot of it, and says so."""
SNAPSHOT, UNHEARD = f"{MODEL}-2027-01-15", f"{MODEL}-unheard-of"
WIRE = "STEPDOWN_MACHINE_WIRE"
"""Where processes find the port that the first of them listens at."""
SILENT = "timeout"
"""The word in a URL to which nothing is ever answered."""
SOON = 0.05
"""Seconds that are waited for it."""
SENTENCE = re.compile(r"^observation: text=(.*)$", re.MULTILINE)
LESSON = {
    "playbook": "Copy the number as it is written; write the date as year, month, day.",
    "hints": "A symbol or a name stands for a currency of three letters.",
}
PROSE = "That looks like an invoice to me."
ILLEGAL = '{"amount":1.0,"currency":"EUR","date":"2023-02-29","number":"7"}'
"""What the last validator alone objects to."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the server sent for one request.

    Attributes:
        model: That it answered as.
        text: Of its answer.
        input_tokens: That it stated; 0 where it stated none.
        output_tokens: The same.
    """

    model: str | None = None
    text: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


LOG: dict[str, Served] = {}
"""The server's own log, in the process where it runs: by the id that it gave to a request."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """The model behind the wire, as a process asks it.

    Attributes:
        scenario: That is played.
        learned: What is known of the server, in each language.
    """

    scenario: Scenario
    learned: dict[str, Fallback] = field(default_factory=lambda: {language: Fallback() for language in LANGUAGES})

    def complete(self, request: Request, language: str, word: str, turn: int) -> Completion:
        """Ask, in a world that is as a word says; turn about it is so in another way."""
        provider = frontier_named(f"{language}:{MODEL}@http://{host()}/{word}/{turn}/v1", self.scenario)
        assert isinstance(provider, OpenAI | Anthropic)
        asked = replace(request, time_limit=SOON) if word == SILENT else request
        return replace(provider, pause=0.0, learned=self.learned[language]).complete(asked)


def sellers() -> tuple[str, ...]:
    """Return what the providers are called: not the service whose language they speak, but its host."""
    return tuple(f"{language}@{host()}" for language in LANGUAGES)


@cache
def host() -> str:
    """Return where the models listen: in the first process that asks, for as long as it lasts."""
    if WIRE not in os.environ:
        listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        os.environ[WIRE] = str(listening.server_address[1])
    return f"127.0.0.1:{os.environ[WIRE]}"


LATER = {1: 503, 3: 429}
"""What a question is refused with that is answered at the second try."""
REFUSED: dict[str, int] = {}
"""How often each of them was asked."""
NUMBERS = count(1)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer as the URL says."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        word, turn = self.path.split("/")[1:3]
        if word == SILENT:
            # Whoever asked hangs up.
            self.rfile.read(1)
            self.close_connection = True
            return
        question = body["messages"][0]["content"]
        strange, shaped = zlib.crc32(question.encode()) % 6, "response_format" in body or "output_config" in body
        if strange == 0 and shaped:
            self._say(400, _refusal("Unknown parameter."))
        elif strange in LATER and self._first(question):
            self._say(LATER[strange], _refusal("Overloaded."))
        else:
            # A model that is told no form or no rules talks.
            told = shaped or '"properties"' in question
            text = said(question, word) if told and not question.startswith((Invoices.name, papers.NAME)) else PROSE
            self._answer(word, int(turn), question, text, strange)

    def _first(self, question: str) -> bool:
        REFUSED[question] = REFUSED.get(question, 0) + 1
        return REFUSED[question] % 2 == 1

    def _answer(self, word: str, turn: int, question: str, text: str, strange: int) -> None:
        language = _messages if self.path.endswith("/messages") else _chat
        if word == "error":
            ways = FAILURES[language]
            status, body = ways[turn // 2 % len(ways)]
            self._say(status, body(text) if callable(body) else body)
            return
        # Some count nothing for what they say; where nobody knows the price, either the model or what it used is unknown.
        counted: tuple[int, int] | None = (len(question.split()), 0 if strange == 4 else len(text))
        model = SNAPSHOT
        if word == UNPRICED:
            model, counted = (UNHEARD, counted) if turn // 2 % 2 else (SNAPSHOT, None)
        name = f"request-{next(NUMBERS)}"
        LOG[name] = Served(model, text, *(counted or (0, 0)))
        self._say(200, {"id": name, "model": model, **language(text, counted, strange == 2)}, name)

    def _say(self, status: int, value: Any, name: str = "refused") -> None:
        sent = json.dumps(value).encode() if not isinstance(value, str) else value.encode()
        self.send_response(status)
        for header, text in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(sent))),
            ("X-Request-Id", name),
            ("Retry-After", "0"),
        ):
            self.send_header(header, text)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent."""


def said(question: str, word: str) -> str:
    """Return what the model makes of a question: it reads the sentence with the embedded frontier's libraries."""
    sentence = SENTENCE.search(question)
    if sentence is None:
        return json.dumps(LESSON)
    return ILLEGAL if word == "illegal" else json.dumps(extract(sentence[1]), ensure_ascii=False, sort_keys=True)


def _refusal(words: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "api_error", "message": words}}


def _choice(text: str | None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **more}}


def _chat(text: str, counted: tuple[int, int] | None, more: bool) -> dict[str, Any]:
    """Say a text as chat completions do; where there is more than one choice, the first is the answer."""
    choices = [_choice(text), _choice("{}")] if more else [_choice(text)]
    if counted is None:
        return {"choices": choices}
    used = {"prompt_tokens": counted[0], "completion_tokens": counted[1]}
    return {"choices": choices, "usage": {**used, "prompt_tokens_details": {"cached_tokens": counted[0] // 2}}}


def _messages(text: str, counted: tuple[int, int] | None, more: bool) -> dict[str, Any]:
    """Say a text as messages do; in more than one block, and after thoughts, it is one answer."""
    parts = [text[: len(text) // 2], text[len(text) // 2 :]] if more else [text]
    thought = [{"type": "thinking", "thinking": "{}", "signature": ""}] if more else []
    content = [*thought, *({"type": "text", "text": part} for part in parts)]
    if counted is None:
        return {"content": content, "stop_reason": "end_turn"}
    fresh, cached = counted[0] - counted[0] // 2, counted[0] // 2
    used = {"input_tokens": fresh, "cache_read_input_tokens": cached, "output_tokens": counted[1]}
    return {"content": content, "stop_reason": "end_turn", "usage": used}


def _stopped(why: str) -> Any:
    return lambda text: {"model": SNAPSHOT, "content": [{"type": "text", "text": text}], "stop_reason": why}


def _finished(why: str) -> Any:
    return lambda text: {"model": SNAPSHOT, "choices": [_choice(text, why)]}


REFUSALS = (
    (500, _refusal("The server had an error.")),
    (401, _refusal("invalid key")),
    (200, "<html>It works!</html>"),
)
FAILURES: dict[Any, tuple[tuple[int, Any], ...]] = {
    _chat: (
        (200, _finished("length")),
        (200, _finished("content_filter")),
        *REFUSALS,
        (200, {"model": SNAPSHOT, "choices": []}),
        (200, {"model": SNAPSHOT, "choices": [_choice(None, refusal="I cannot help with that.")]}),
        (200, {"model": SNAPSHOT, "choices": [_choice(None)]}),
    ),
    _messages: (
        (200, _stopped("max_tokens")),
        (200, _stopped("refusal")),
        *REFUSALS,
        (200, {"model": SNAPSHOT, "content": [], "stop_reason": "end_turn"}),
        (529, _refusal("Overloaded.")),
    ),
}
"""The ways in which a service does not answer, some with a text that would be an answer."""
