"""A task in files: read strictly, split once by content, judged on its own cases; what is wrong is told with file and line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import Hands, steps
from stepdown.acts import configure, switch
from stepdown.acts.ask import live
from stepdown.acts.export import export
from stepdown.acts.init import init
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.cli import main
from stepdown.errors import InvalidValue, NotFound, Refused, StepdownError
from stepdown.history import reader
from stepdown.providers.installed import frontier_named
from stepdown.scenarios import harness, roles
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.scenarios.protocol import IllegalAnswer
from stepdown.scenarios.readers import read, written
from stepdown.scenarios.referee import judge
from stepdown.scenarios.shipped import EXAMPLES, contents, tickets
from stepdown.scenarios.tasks import COMPARISON, HELD_OUT, Case, Task, split
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.scan import scan
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.task import Beside
from stepdown.workspace.task import read as read_task

TOML = 'name = "ours"\n[judge]\nkind = "exact"\n'


def write(
    directory: Path, *, toml: str = TOML, cases: str | None = None, schema: str = "{}", rules: str = "Do."
) -> None:
    """Write a task of sixty numbered cases, or of what is given."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"input": f"case {number}", "expected": number % 3}) for number in range(60)]
    (directory / "stepdown.toml").write_text(toml, "utf-8")
    (directory / "cases.jsonl").write_text("\n".join(rows) if cases is None else cases, "utf-8")
    (directory / "answer.schema.json").write_text(schema, "utf-8")
    (directory / "instructions.txt").write_text(rules, "utf-8")


@pytest.fixture
def opened(tmp_path: Path) -> Workspace:
    """A workspace beside a task of sixty cases."""
    write(tmp_path)
    with open_workspace(tmp_path / ".stepdown", settings=moments(tmp_path)) as workspace:
        yield workspace


def moments(directory: Path) -> Settings:
    """Settings that find the task of a directory."""
    return Settings(clock=Hands().clock, durability="normal", scenario=Beside(directory))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no toml": ({"toml": "name = \nversion = 1"}, r"stepdown.toml is no TOML: .*line 1"),
    "no name": ({"toml": '[judge]\nkind="exact"'}, "needs name"),
    "no judge": ({"toml": 'name = "a"'}, "needs judge"),
    "a name that is none": (
        {"toml": TOML.replace("ours", "Our Task")},
        "stepdown.toml line 1: a name is of small letters",
    ),
    "an unknown key": ({"toml": "colour = 1\n" + TOML}, "stepdown.toml line 1 has 'colour'"),
    "a number as name": ({"toml": TOML.replace('"ours"', "7")}, "line 1: name must be a text"),
    "true as version": ({"toml": "version = true\n" + TOML}, "line 1: version must be a whole number"),
    "an unknown judge": ({"toml": TOML.replace("exact", "best")}, "line 2: judge: kind must be one of"),
    "a judge that cannot be imported": ({"toml": TOML.replace("exact", "python:no.such:f")}, "cannot be imported"),
    "an unknown reader": ({"toml": 'reader = "guess"\n' + TOML}, "line 1: reader must be one of json, text"),
    "a case that is no JSON": ({"cases": '{"input": "a"}\n{"input"'}, "cases.jsonl line 2 is no JSON"),
    "a case without input": ({"cases": '{"expected": 1}'}, 'line 1 must be an object with "input"'),
    "a case with more": ({"cases": '{"input": "a", "weight": 1}'}, "line 1 has 'weight'"),
    "an input that is a number": ({"cases": '{"input": 7}'}, "line 1: input must be a text, or an object"),
    "two answers to one question": (
        {"cases": '{"input": "a", "expected": 1}\n\n{"input": "a", "expected": 2}'},
        "line 3 asks what line 1 asks, and expects another answer",
    ),
    "a lone surrogate": ({"cases": '{"input": "\\ud800", "expected": 1}'}, "line 1 holds what cannot be kept"),
    "no number": ({"cases": '{"input": {"a": NaN}, "expected": 1}'}, "line 1 holds what cannot be kept"),
    "a name that stands twice": (
        {"cases": '{"input": "b", "input": "a", "expected": 1}'},
        'line 1 is no JSON: the name "input" stands twice',
    ),
    "a name that stands twice below": (
        {"cases": '{"input": {"a": 1, "a": 2}, "expected": 1}'},
        'the name "a" stands twice',
    ),
    "no end of brackets": ({"cases": "[" * 5000 + "]" * 5000}, "line 1 is no JSON: it is nested too deeply"),
    "half a character": ({"cases": '{"input": "\\ud800"}'}, "holds half a character"),
    "not finite": ({"cases": '{"input": {"a": 1e999}}'}, "a number in it is not finite"),
    "an answer of another type, in JSON's notation": (
        {"schema": '{"type": ["object", "null"]}', "cases": '{"input": "a", "expected": true}'},
        r'what is expected is no answer: not what the schema asks for: true fails type \["object", "null"\]',
    ),
    "too few cases": ({"cases": '{"input": "a", "expected": 1}'}, "1 cases, and .* add cases"),
    "a schema that is no JSON": ({"schema": "{"}, "answer.schema.json is no JSON"),
    "a schema that is none": ({"schema": '{"type": "colour"}'}, "no JSON Schema, at type"),
    "an answer that the schema refuses": (
        {"schema": '{"type": "string"}'},
        "cases.jsonl line 1: what is expected is no",
    ),
    "empty instructions": ({"rules": " \n"}, "instructions.txt is empty"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_file_is_a_sentence_with_file_and_line_and_nothing_is_made(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, sentence = WRONG[name]
    write(tmp_path / "task", **changes)
    with pytest.raises(InvalidValue, match=sentence):
        read_task(tmp_path / "task")

    monkeypatch.chdir(tmp_path / "task")
    assert main(["run", "--frontier", "labels"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("stepdown: ")
    assert "Traceback" not in told
    assert not (tmp_path / "task" / ".stepdown").exists()


def test_files_as_another_system_writes_them_are_the_same_task(tmp_path: Path) -> None:
    """A byte order mark says nothing; nor, beside what stands in a text, do carriage returns."""
    write(tmp_path / "plain")
    shutil.copytree(tmp_path / "plain", tmp_path / "other")
    for path in (tmp_path / "other").iterdir():
        path.write_bytes("\ufeff".encode() + path.read_bytes().replace(b"\n", b"\r\n"))

    plain, other = read_task(tmp_path / "plain"), read_task(tmp_path / "other")
    assert plain is not None
    assert other is not None
    assert [case.input for case in other.cases] == [case.input for case in plain.cases]
    assert other.version == plain.version


@pytest.mark.parametrize("trouble", ["missing", "a folder", "no UTF-8"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, trouble: str) -> None:
    write(tmp_path)
    path = tmp_path / "cases.jsonl"
    if trouble == "no UTF-8":
        path.write_bytes(path.read_bytes() + b"\n\xff")
    else:
        path.unlink()
        if trouble == "a folder":
            path.mkdir()

    with pytest.raises(InvalidValue, match=r"cases.jsonl (is missing|cannot be read|line 61 is not UTF-8)"):
        read_task(tmp_path)


def test_cases_are_split_once_by_their_content(tmp_path: Path) -> None:
    cases = [Case({"text": str(number)}, number, True, number) for number in range(400)]
    sides = split(cases)
    more = split([*cases, *(Case({"text": f"more {number}"}, 0, True, number) for number in range(200))])

    assert sum(map(len, sides.values())) == 400
    assert 150 < len(sides["training"]) < 250
    for side, held in sides.items():
        assert [case for case in more[side] if "more" not in case.input["text"]] == list(held)


def test_a_case_that_nobody_knows_the_answer_of_only_trains() -> None:
    sides = split([Case({"text": str(number)}, None, False, number) for number in range(100)])

    assert {side: len(held) for side, held in sides.items()} == {"training": 100, "held-out": 0, "comparison": 0}


def test_a_change_of_anything_that_counts_is_another_version() -> None:
    task = tickets()
    changed = [
        replace(task, rules=task.rules + " Please."),
        replace(task, answers={"enum": ["account"]}),
        replace(task, judge={"kind": "exact"}),
        replace(task, reader="text"),
        replace(task, label=2),
        replace(task, cases=task.cases[:-1]),
    ]

    assert len({task.version, *(other.version for other in changed)}) == 7
    assert replace(task, settings={"policy": {}}).version == task.version


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("reader", ["json", "fenced-json"])
@given(value=values)
def test_what_is_written_for_a_reader_is_read_as_just_that(reader: str, value: Any) -> None:
    assert read(reader, written(reader, value)) == value


@pytest.mark.parametrize(
    ("reader", "reply"),
    [
        ("json", 'Sure: {"a": 1}'),
        ("json", '```json\n{"a": 1}\n```'),
        ("json", '{"a": 1, "a": 2}'),
        ("json", "NaN"),
        ("fenced-json", '{"a": 1}'),
        ("fenced-json", "```json\n1\n```\n```json\n2\n```"),
        ("text", "  "),
    ],
)
def test_nothing_is_guessed_of_a_reply(reader: str, reply: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the sentence is the reader's own
        read(reader, reply)


def test_the_shipped_task_is_whole_and_its_harness_sees_what_its_referee_sees() -> None:
    task = tickets()
    role = roles.proposer(task)

    assert harness.coverage(task, task.validators) == 1.0
    assert all(harness.coverage(task, {name}) < 1 for name in task.validators)
    for seed in (0, 7, HELD_OUT, COMPARISON + 3):
        right = json.dumps(task.case(seed).expected)
        assert judge(task, role, right, (seed,), task.validators).score == 1.0
        assert judge(task, role, '"nonsense"', (seed,), task.validators).refusals
    with pytest.raises(IllegalAnswer):
        task.parse('"nonsense"')
    assert len({case.input["text"] for case in task.cases}) == len(task.cases) == 360


@pytest.mark.parametrize("example", EXAMPLES)
def test_init_writes_the_files_of_an_example_and_never_over_another(tmp_path: Path, example: str) -> None:
    paths = init(tmp_path / "mine", example)

    assert {path.name for path in paths} == set(contents(example))
    made = read_task(tmp_path / "mine")
    assert isinstance(made, Task)
    assert made.name == "mine"
    (tmp_path / "mine" / "cases.jsonl").write_text("mine")
    with pytest.raises(Refused, match="is there already; nothing was written"):
        init(tmp_path / "mine", example)
    assert (tmp_path / "mine" / "cases.jsonl").read_text() == "mine"
    with pytest.raises(NotFound, match="no example"):
        init(tmp_path / "other", "nosuch")


def test_a_task_beside_a_workspace_is_discovered_trained_asked_and_audited(opened: Workspace) -> None:
    run = play(start(opened, "ours", generations=2, candidates=20, frontier="labels"))
    found = steps(opened, run.id)
    assert {(step.served, step.score) for step in found} == {("frontier", 1.0)}

    trained = localize(opened, export(opened, Filters("ours")).path, plan=Plan.tiny(iterations=60))
    assert trained.evaluation.seeds == len(opened.scenario("ours").holdout_seeds())
    with live(opened, "ours", frontier="labels") as desk:
        assert desk.ask({"text": "case 4"}).value == 1
        assert desk.ask({"text": "a case of nobody's"}).error == "not-labelled"
    assert differences(opened) == []


@pytest.mark.parametrize("reader_", ["text", "fenced-json"])
def test_a_task_whose_replies_are_more_or_other_than_json_goes_all_the_way(tmp_path: Path, reader_: str) -> None:
    answers = ["yes, please", "no"] if reader_ == "text" else [{"a": 1}, {"a": [2, 3]}]
    listed = [{"input": f"case {number}", "expected": answers[number % 2]} for number in range(60)]
    write(tmp_path, toml=f'reader = "{reader_}"\n{TOML}', cases="\n".join(map(json.dumps, listed)))
    with open_workspace(tmp_path / ".stepdown", settings=moments(tmp_path)) as workspace:
        run = play(start(workspace, "ours", generations=2, candidates=20, frontier="labels"))
        dataset = export(workspace, Filters("ours"))
        completions = {json.loads(line)["completion"] for line in (dataset.path / "train.jsonl").open()}
        trained = localize(workspace, dataset.path, plan=Plan.tiny(iterations=60))
        switch.activate(workspace, trained.bundle.id, forced=True)
        configure.set_policy(workspace, {"min_score": 0.0, "min_valid": 0.0, "min_coverage": 0.0})
        with live(workspace, "ours", frontier="labels") as desk:
            response = desk.ask({"text": "case 4"})

        assert {step.score for step in steps(workspace, run.id)} == {1.0}
        assert completions == {written(reader_, answer) for answer in answers}, "what is learned is what is read"
        assert trained.evaluation.valid == 1.0
        assert (response.served, response.value in answers) == ("local", True)
        assert next(iter(scan(workspace, Filters("ours")).baselines)).scores.valid == 1.0
        assert differences(workspace) == []


def test_a_case_without_an_answer_is_asked_and_has_no_score(tmp_path: Path) -> None:
    known = [json.dumps({"input": f"case {number}", "expected": 1}) for number in range(60)]
    unknown = [json.dumps({"input": f"open {number}"}) for number in range(300)]
    write(tmp_path, cases="\n".join([*known, *unknown]))

    class Guess:
        name = model = "guess"

        def complete(self, request: Any) -> Any:
            from stepdown.providers.protocol import Completion

            lesson = '{"playbook":"a","hints":"b"}'
            return Completion(lesson if request.role == "coach" else "1", "guess", "guess")

    made = replace(moments(tmp_path), frontier=lambda _word, _scenario: Guess())
    with open_workspace(tmp_path / ".stepdown", settings=made) as workspace:
        run = play(start(workspace, "ours", generations=1, candidates=30, frontier="guess"))
        scores = {step.prompt.count("open "): step.score for step in steps(workspace, run.id)}

        assert scores == {0: 1.0, 1: None}
        assert differences(workspace) == []


def test_the_policy_of_a_task_is_taken_over_once_and_never_over_a_persons(tmp_path: Path) -> None:
    write(tmp_path, toml=TOML + "[policy]\nmin_score = 0.25\n")
    with open_workspace(tmp_path / ".stepdown", settings=moments(tmp_path)) as workspace:
        configure.adopt_policy(workspace, workspace.scenario("ours"))
        configure.adopt_policy(workspace, workspace.scenario("ours"))
        with workspace.reading() as connection:
            number, policy = workspace.policy(connection)
            change = reader.policy(connection)
        assert (number, policy.min_score, change and change.by) == (1, 0.25, "stepdown.toml")

        configure.set_policy(workspace, {"min_score": 0.5}, by="zoe")
        assert configure.adopt_policy(workspace, workspace.scenario("ours")) is None
        assert differences(workspace) == []


def test_a_task_may_not_take_the_name_of_an_installed_scenario(tmp_path: Path) -> None:
    write(tmp_path, toml=TOML.replace("ours", "grid_ctf"))
    with open_workspace(tmp_path / ".stepdown", settings=moments(tmp_path)) as workspace:
        with pytest.raises(InvalidValue, match="is an installed scenario's"):
            workspace.scenario("grid_ctf")
        with pytest.raises(NotFound, match="choose one of"):
            workspace.scenario("nosuch")


def test_a_python_judge_is_called_and_what_it_throws_is_a_sentence(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "our_judge.py").write_text(
        "def half(answer, expected):\n    return {'a': 1.0, 'b': 0.0}\n\ndef broken(answer, expected):\n    return 1 / 0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, score in (("half", 0.5), ("broken", None)):
        write(tmp_path / name, toml=TOML.replace("exact", f"python:our_judge:{name}"))
        task = read_task(tmp_path / name)
        assert task is not None
        role = roles.proposer(task)
        if score is not None:
            assert judge(task, role, "1", (HELD_OUT,)).score == score
        else:
            with pytest.raises(InvalidValue, match="The scenario ours broke while playing"):
                judge(task, role, "1", (HELD_OUT,))


def test_the_labels_answer_for_a_task_in_files_only() -> None:
    with pytest.raises(Refused, match="knows the cases of a task in files"):
        frontier_named("labels", GridCtf())
    with pytest.raises(StepdownError, match="takes no argument"):
        frontier_named("labels:x", tickets())
