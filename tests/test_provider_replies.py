"""What a provider returns is somebody else's: no reply, no error and no line of a trace can harm a workspace."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journey import BEST, Scripted, attempts, compete, discover, steps
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.errors import InvalidValue, NotFound, ProviderError
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.providers.installed import GROUP, factory, frontier_named, names, provider
from stepdown.providers.protocol import Completion, Request
from stepdown.providers.reply import MALFORMED
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.views.audit import differences
from stepdown.views.runs import runs
from stepdown.workspace import Settings, Workspace


@dataclass
class Stranger:
    """A frontier that returns or raises whatever it was given, to every role but the coach."""

    answer: Any
    name: Any = "stranger"
    model: Any = "stranger-1"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Any:
        """Do it."""
        self.asked.append(request)
        if request.role == "coach":
            return Completion('{"playbook":"Attack.","hints":"Press on."}', "stranger", "stranger-1")
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(request) if callable(self.answer) else self.answer


def asked(root: Path, stranger: Any, made: Settings) -> tuple[rows.Step, list[rows.Attempt]]:
    """Let a stranger take one step in a new workspace, open that again, and demand that it is true."""
    told = replace(made, frontier=lambda _word, _scenario: stranger)
    with open_workspace(root, settings=told) as workspace:
        run = play(start(workspace, "grid_ctf", generations=1, candidates=1, frontier="stranger"))
        (step,) = steps(workspace, run.id)
        found = attempts(workspace, step)
    with open_workspace(root, settings=told) as again:
        assert differences(again) == []
    return step, found


HOSTILE_FIELDS = [
    ("input_tokens", value) for value in (2**63, 2**31, -1, True, 1.5, float("nan"), "7", [], {}, 10**400)
] + [
    ("output_tokens", 2**63),
    ("model", None),
    ("model", ""),
    ("model", 7),
    ("model", "m" * 121),
    ("model", "half a pair \ud800"),
    ("model", "a\0b"),
    ("provider", None),
    ("provider", {"name": "x"}),
    ("weights_digest", "no digest"),
    ("weights_digest", 12),
    ("weights_digest", "F" * 64),
]


@pytest.mark.parametrize(("name", "value"), HOSTILE_FIELDS, ids=repr)
def test_a_field_that_is_not_what_it_should_be_is_unknown_and_noted(
    tmp_path: Path, settings: Settings, name: str, value: Any
) -> None:
    completion = Completion(BEST, "stranger", "stranger-1", None, 3, 4)
    step, (attempt,) = asked(
        tmp_path / "w", Stranger(SimpleNamespace(**{**vars_of(completion), name: value})), settings
    )

    assert step.outcome == "served"
    assert getattr(attempt, name) in (None, "unknown", "m" * 120)
    (end,) = [line for line in trace.lines(tmp_path / "w" / "trace.jsonl") if line.event == "end" and line.noted]
    assert end.noted == name


def vars_of(completion: Completion) -> dict[str, Any]:
    """A completion's fields."""
    return {name: getattr(completion, name) for name in Completion.__dataclass_fields__}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        BEST,
        b"bytes",
        ...,
        Completion(None, "stranger", "s"),  # type: ignore[arg-type]
        Completion({"a": 1}, "stranger", "s"),  # type: ignore[arg-type]
        Completion(7, "stranger", "s"),  # type: ignore[arg-type]
        Completion("half a pair \ud800", "stranger", "s"),
        Completion("a\0b", "stranger", "s"),
    ],
    ids=repr,
)
def test_a_reply_that_is_none_is_a_failed_call_with_its_reason(tmp_path: Path, settings: Settings, answer: Any) -> None:
    step, (attempt,) = asked(tmp_path / "w", Stranger(answer), settings)

    assert (step.outcome, step.error, attempt.error_type) == ("failed", MALFORMED, MALFORMED)
    assert "stranger answered with" in (attempt.error or "")


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Cancelled(BaseException):
    """What some libraries raise outside of `Exception`."""


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (Mute(), "Mute"),
        (Cancelled("stop"), "Cancelled"),
        (type("E" * 300, (Exception,), {})("long"), "E" * 120),
        (ValueError("half a pair \ud800 and a NUL \0"), "ValueError"),
        (ProviderError("x" * 100_000, error_type="y" * 500), "y" * 120),
        (ProviderError("no type", error_type=""), "error"),
        (ProviderError("odd", error_type=7), "error"),  # type: ignore[arg-type]
        (RecursionError("too deep"), "RecursionError"),
        (MemoryError(), "MemoryError"),
        (SystemExit(3), "SystemExit"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value[:20],
)
def test_whatever_a_provider_throws_is_a_failed_call_with_words_that_can_be_kept(
    tmp_path: Path, settings: Settings, error: BaseException, error_type: str
) -> None:
    step, (attempt,) = asked(tmp_path / "w", Stranger(error), settings)

    assert (step.outcome, attempt.error_type) == ("failed", error_type)
    assert len(attempt.error or "") <= 10_200


def test_an_interruption_by_a_person_is_no_failed_call(tmp_path: Path, settings: Settings) -> None:
    told = replace(settings, frontier=lambda _word, _scenario: Stranger(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt), open_workspace(tmp_path / "w", settings=told) as workspace:
        play(start(workspace, "grid_ctf", generations=1, candidates=1, frontier="stranger"))

    with open_workspace(tmp_path / "w", settings=settings) as again:
        assert differences(again) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
completions = st.fixed_dictionaries(
    {name: anything for name in Completion.__dataclass_fields__ if name != "reply"},
    optional={"reply": anything | st.just(BEST)},
).map(lambda fields: SimpleNamespace(**fields))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(answers=st.lists(completions, min_size=1, max_size=3))
def test_no_completion_whatever_harms_history(workspace: Workspace, answers: list[Any]) -> None:
    left = list(answers)
    stranger = Stranger(lambda _request: left.pop() if left else None)
    workspace.settings = replace(workspace.settings, frontier=lambda _word, _scenario: stranger)
    play(start(workspace, "grid_ctf", generations=1, candidates=len(answers), frontier="stranger"))

    assert differences(workspace) == []


@pytest.mark.parametrize("depth", [101, 900, *range(960, 972), 5000, 100_000])
def test_a_reply_that_is_nested_too_deep_is_refused_alike_whoever_reads_it(
    tmp_path: Path, settings: Settings, depth: int
) -> None:
    nested = '{"aggression":0.5,"defense":0.5,"path_bias":' + '{"a":' * depth + "1" + "}" * depth + "}"
    step, (attempt,) = asked(tmp_path / "w", Stranger(Completion(nested, "stranger", "s")), settings)

    assert (step.outcome, attempt.refusals) == ("failed", ["The reply is nested more than 100 deep."])


@pytest.mark.parametrize("lesson", ['{"playbook":"\\ud800","hints":"x"}', '{"playbook":"a\\u0000b","hints":"x"}'])
def test_a_lesson_that_no_database_keeps_is_refused_with_its_reason(
    tmp_path: Path, settings: Settings, lesson: str
) -> None:
    told = replace(settings, frontier=lambda _word, _scenario: Coached(lesson))
    with open_workspace(tmp_path / "w", settings=told) as workspace:
        run = play(start(workspace, "grid_ctf", generations=1, candidates=1, frontier="coached"))
        (step,) = steps(workspace, run.id, "coach")
        (attempt,) = attempts(workspace, step)

        assert attempt.error_type == "invalid-output"
        assert "not a lesson" in attempt.refusals[0] or "canonical" in attempt.refusals[0]
        assert differences(workspace) == []


@dataclass
class Coached:
    """A frontier with one lesson."""

    lesson: str
    name: str = "coached"
    model: str = "coached-1"

    def complete(self, request: Request) -> Completion:
        """Teach, or play well."""
        return Completion(self.lesson if request.role == "coach" else BEST, self.name, self.model)


LINE_EDITS: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("tokens beyond all databases", lambda line: {**line, "gen_ai.usage.input_tokens": 2**63}),
    ("an object as text", lambda line: {**line, "stepdown.output.text": {"a": 1}}),
    ("a list as call", lambda line: {**line, "stepdown.call": ["x"]}),
    ("no event", lambda line: {**line, "event": "middle"}),
    ("a negative duration", lambda line: {**line, "gen_ai.client.operation.duration": -1}),
    ("a time without a zone", lambda line: {**line, "time": "2026-01-01T00:00:00"}),
    ("no object at all", lambda _line: [1, 2]),
]


@pytest.mark.parametrize("edit", LINE_EDITS, ids=[name for name, _ in LINE_EDITS])
def test_no_line_of_a_trace_keeps_a_workspace_from_opening_and_the_audit_names_it(
    workspace: Workspace, settings: Settings, edit: tuple[str, Callable[[dict[str, Any]], Any]]
) -> None:
    compete(workspace)
    workspace.close()
    path = workspace.root / "trace.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    lines[1] = edit[1](lines[1])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    with open_workspace(workspace.root, settings=settings) as again:
        found = differences(again)
        compete(again)

    assert "trace line 2" in {difference.where for difference in found}


def test_a_bad_end_of_an_unfinished_call_is_no_knowledge_for_recovery(workspace: Workspace, settings: Settings) -> None:
    root = workspace.root
    with workspace.writing() as connection:
        session = workspace.session.begin()
        del connection, session
    step = compete(workspace)
    assert step.outcome == "served"
    workspace.close()
    with (root / "trace.jsonl").open("a") as file:
        file.write(
            json.dumps({"event": "end", "stepdown.call": "run-9/1/0/1", "gen_ai.usage.input_tokens": 2**63}) + "\n"
        )
        file.write("[" * 100_000 + "\n")

    for _ in range(2):
        with open_workspace(root, settings=settings) as again:
            assert [difference.where for difference in differences(again)] == ["trace line 5"]


def test_a_frontier_that_takes_longer_than_it_may_is_left_behind(tmp_path: Path, settings: Settings) -> None:
    over, said = threading.Event(), threading.Event()

    def slow(_request: Request) -> Completion:
        try:
            assert over.wait(60)  # Without an end of its own, so whoever is not left behind is waited for.
            return Completion(BEST, "stranger", "stranger-1")
        finally:
            said.set()

    told = replace(settings, frontier=lambda _word, _scenario: Stranger(slow))
    with open_workspace(tmp_path / "w", settings=told) as workspace:
        configure.set_policy(workspace, {"frontier_timeout": 0.2})
        step = compete(workspace)
        assert not said.is_set()
        over.set()
        assert said.wait(60)  # What comes too late is no answer, and no second line.

        assert (step.outcome, step.error) == ("failed", "timeout")
        assert differences(workspace) == []


def test_a_run_in_which_nothing_could_be_used_has_failed_and_says_why(workspace: Workspace) -> None:
    workspace.settings = replace(
        workspace.settings, frontier=lambda _word, _scenario: Scripted([ProviderError("no", error_type="rate-limit")])
    )
    discover(workspace, candidates=3, frontier="down")

    ((_, ending),) = runs(workspace)
    assert ending is not None
    assert (ending.outcome, ending.error) == (
        "failed",
        "Not one of 3 answers could be used (rate-limit ×3); look at the frontier down.",
    )
    assert differences(workspace) == []


OURS = """
from stepdown.providers.protocol import Completion

class Fixed:
    name, model = "fixed", "fixed-1"
    concurrency = 3

    def __init__(self, reply):
        self.reply = reply

    def complete(self, request):
        return Completion(self.reply, self.name, self.model)

def make(argument, scenario):
    return Fixed(argument)

def broken(argument, scenario):
    return 1 / 0
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody's own on the path, as pip would leave it."""
    (tmp_path / "our_frontier.py").write_text(OURS)
    info = tmp_path / "our_frontier-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-frontier\nVersion: 1.0\n")
    points = ["fixed = our_frontier:make", "broken = our_frontier:broken", "gone = our_frontier:nowhere"]
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "\n".join(points) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_a_frontier_of_ones_own_is_found_by_entry_point_and_plays(workspace: Workspace) -> None:
    run = discover(workspace, candidates=3, frontier=f"fixed:{BEST}")

    assert {"fixed", "search", "recorded"} <= set(names())
    assert [step.served for step in steps(workspace, run.id)] == ["frontier"] * 3
    assert differences(workspace) == []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["broken", "gone"])
def test_a_frontier_that_cannot_be_had_is_one_sentence_and_nothing_is_recorded(workspace: Workspace, name: str) -> None:
    with pytest.raises(InvalidValue, match=rf"^The frontier {name} cannot be (made|loaded)") as refusal:
        start(workspace, "grid_ctf", frontier=name)

    assert refusal.value.kind == "provider-broken"
    with workspace.reading() as connection:
        assert reader.count(connection, rows.Run) == 0


def test_what_is_no_provider_is_refused_before_it_is_asked() -> None:
    with pytest.raises(InvalidValue, match="cannot be made"):
        provider("odd", lambda _argument, _scenario: object(), None, GridCtf())  # type: ignore[arg-type,return-value]
    with pytest.raises(NotFound, match="choose one of"):
        factory("nobody")
    with pytest.raises(InvalidValue, match="takes no argument"):
        frontier_named("search:deep", GridCtf())
