"""Logs of other systems, line by line: what was asked and what was answered. Pure: bytes in, values out.

Known are, and a line says itself which it is:

- chat: ``{"messages": [...]}``, the answer last, as OpenAI's and mlx-lm's fine-tuning files are; mlx-lm's ``tools`` too, where
  the answer is the arguments of the one tool that was called;
- completions: ``{"prompt": ..., "completion": ...}``, as mlx-lm has them;
- exchanges: ``{"request": {"messages": [...]}, "response": {"choices": [...]}}``, with or without ``timestamp``,
  ``workload_id`` and ``client_id``, as gateways log them (NVIDIA's data flywheel blueprint names these five keys).

A line that is no JSON, or has a name twice in one object, is an error: whatever cut or mixed it may have done so to
others. One that holds no question and answer of one turn is skipped with the reason, and nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.digest import canonical, parsed
from stepdown.errors import InvalidValue, in_one_line

SEVERAL_TURNS = "a conversation of several turns"
NO_TEXT = "it holds more than text"
NO_ANSWER = "it has no answer"
NO_QUESTION = "it has no question"
CUT_OFF = "its answer was cut off"
UNKNOWN = "of no known form"
UNKEPT = "it holds what cannot be kept"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A question and its answer, as a log has them.

    Attributes:
        question: What the user said.
        reply: What was answered.
        model: Who answered, if the log says so.
    """

    question: str
    reply: str
    model: str | None = None


class Skipped(ValueError):
    """A line holds nothing to learn from; the message says why, and many lines share it."""


def entry(line: bytes, where: str) -> LogEntry:
    """Read one line of a log.

    Args:
        line: Its bytes.
        where: Where it stands, for messages.

    Raises:
        InvalidValue: It is no JSON, in UTF-8.
        Skipped: It holds no question and answer of one turn.
    """
    try:
        row = parsed(line.decode("utf-8"))
    except ValueError as error:
        raise InvalidValue(
            f"{where} is no JSON ({in_one_line(error)}); nothing of the log was kept.", kind="log-unreadable"
        ) from error
    if not isinstance(row, dict):
        raise Skipped(UNKNOWN)
    if "messages" in row:
        return _chat(row["messages"], None, _word(row.get("model")))
    if "request" in row and "response" in row:
        return _exchange(row["request"], row["response"])
    if "prompt" in row and "completion" in row:
        return LogEntry(_text(row["prompt"], NO_QUESTION), _text(row["completion"], NO_ANSWER), _word(row.get("model")))
    raise Skipped(UNKNOWN)


def _exchange(request: Any, response: Any) -> LogEntry:
    if not isinstance(request, Mapping) or not isinstance(response, Mapping):
        raise Skipped(UNKNOWN)
    choices = response.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise Skipped(NO_ANSWER)
    if choices[0].get("finish_reason") in ("length", "content_filter"):
        raise Skipped(CUT_OFF)
    model = _word(response.get("model")) or _word(request.get("model"))
    return _chat(request.get("messages"), choices[0].get("message"), model)


def _chat(messages: Any, answer: Any, model: str | None) -> LogEntry:
    """Return the one question of a conversation and its answer: the last message, unless that stands apart."""
    if not isinstance(messages, list) or not all(isinstance(each, Mapping) for each in messages):
        raise Skipped(UNKNOWN)
    asked = list(messages)
    if answer is None:
        answer = asked.pop() if asked and asked[-1].get("role") == "assistant" else None
    questions = [each for each in asked if each.get("role") == "user"]
    if not isinstance(answer, Mapping):
        raise Skipped(NO_ANSWER)
    if not questions:
        raise Skipped(NO_QUESTION)
    if len(questions) > 1 or any(each.get("role") in ("assistant", "tool") for each in asked):
        raise Skipped(SEVERAL_TURNS)
    return LogEntry(_text(questions[0].get("content"), NO_QUESTION), _answered(answer), model)


def _answered(message: Mapping[str, Any]) -> str:
    """Return what an assistant's message says: its text, or the arguments of the one tool that it calls."""
    calls = message.get("tool_calls")
    if not calls:
        return _text(message.get("content"), NO_ANSWER)
    function = calls[0].get("function") if isinstance(calls, list) and isinstance(calls[0], Mapping) else None
    if len(calls) != 1 or not isinstance(function, Mapping):
        raise Skipped("it calls several tools")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return arguments
    try:
        return canonical(arguments).decode()
    except (ValueError, RecursionError):  # A number without end, half a character, or objects without end.
        raise Skipped(UNKEPT) from None


def _text(content: Any, missing: str) -> str:
    """Return a message's content, which may come in parts, as one text."""
    if isinstance(content, list):
        if not all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
            raise Skipped(NO_TEXT)
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str) or not content.strip():
        raise Skipped(missing)
    return content


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
