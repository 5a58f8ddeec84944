"""What others logged: every form that a line has, beside lines that teach nothing, brought in here after a neighbour did so."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stateful.environment import NEIGHBOURS, ON_GRID, SCENARIO, STRANGE, examined, strange
from stateful.observing import PERSON
from stepdown.acts import imports
from stepdown.history import reader, rows
from stepdown.workspace import Workspace
from stepdown_machine.values import Imported


def _message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def _parts(text: str) -> list[dict[str, str]]:
    half = len(text) // 2
    return [{"type": "text", "text": text[:half]}, {"type": "text", "text": text[half:]}]


def _tool(arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "answer", "arguments": arguments}}


def _exchange(question: str, answer: dict[str, Any], model: str, **choice: Any) -> dict[str, Any]:
    """Say an exchange as who asked saw it: somebody else may have answered than was asked."""
    return {
        "request": {"model": f"{model}-asked", "messages": [_message("user", question)]},
        "response": {"model": model, "choices": [{"message": answer, **choice}]},
    }


def _logged(question: str, reply: str, line: int, model: str) -> dict[str, Any]:
    """Say a question and its answer in one of the forms that logs have: the first line in the one that names nobody."""
    asked, answered = _message("user", question), _message("assistant", reply)
    forms = (
        {"prompt": question, "completion": reply, "model": model},
        _exchange(question, answered, model, finish_reason="stop"),
        {"messages": [_message("system", "Answer."), _message("user", _parts(question)), answered], "model": model},
        _exchange(question, _message("assistant", None, tool_calls=[_tool(reply)]), model),
    )
    return forms[(line - 1) % len(forms)] if line else {"messages": [asked, answered]}


def _idle(question: str, reply: str, model: str, kept: Sequence[str]) -> list[dict[str, Any]]:
    """Say lines that teach nothing, although the answer in them is what a line before was learned from.

    Args:
        question: Of the first line, and `reply` its answer.
        reply: It is legal to any question.
        model: Who answered.
        kept: Questions that are kept for examinations.
    """
    answered = _message("assistant", reply)
    return [
        _exchange(question, answered, model, finish_reason="length"),
        _exchange(question, answered, model, finish_reason="content_filter"),
        _exchange(question, _message("assistant", None, tool_calls=[_tool(reply)] * 2), model),
        {"messages": [_message("user", question), answered, _message("user", question), answered]},
        {"messages": [_message("user", question)]},
        {"prompt": json.dumps({"time": 12, "place": 3}) if question.startswith("{") else "", "completion": reply},
        {"prompt": question, "completion": ""},
        {"question": question, "answer": reply},
        *(_exchange(each, answered, model) for each in kept),
    ]


def _question(shown: Mapping[str, Any]) -> str:
    """Say a case as somebody else would have asked: what has one name is asked without it."""
    return str(*shown.values()) if len(shown) == 1 else json.dumps(shown)


def brought(workspace: Workspace, lines: tuple[tuple[int, str], ...], model: str) -> Imported:
    """Bring in a log of completions, as the answers of a neighbour's first where there is one."""
    scenario = workspace.scenario(SCENARIO)
    unknown = strange(scenario)
    asked = [_question(STRANGE if seed in unknown else scenario.observation(seed)) for seed, _ in lines]
    kept_back = [_question(scenario.observation(seed)) for seed in examined(scenario)]
    written = [_logged(asked[line], reply, line, model) for line, (_, reply) in enumerate(lines)]
    idle = _idle(asked[0], lines[0][1], model, kept_back)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_text("\n".join((*map(json.dumps, written), "", *map(json.dumps, idle))), "utf-8")
        read = [imports.read(workspace.scenario(name), path) for name in (*NEIGHBOURS[: int(ON_GRID)], SCENARIO)]
        log = [imports.bring(workspace, each, by=PERSON) for each in read][-1]
    with workspace.reading() as connection:
        kept = reader.all_of(connection, rows.Exchange, log=log.id)
    lines_ = tuple((each.line, each.answer, each.score) for each in kept)
    return Imported(log.id, lines_, tuple(each.model for each in kept), sum(log.skipped.values()) - len(idle))
