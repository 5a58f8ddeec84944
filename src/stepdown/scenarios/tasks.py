"""A task in files, without Python: texts in, JSON or text out, and a way to say how good an answer is. Pure.

::

    stepdown.toml        name, version, and the names of the other files
    cases.jsonl          one case a line: {"input": ..., "expected": ...}; what is expected may be left out
    instructions.txt     what a frontier must know to answer
    answer.schema.json   JSON Schema of an answer
    prompt.txt           where `prompt = "prompt.txt"` names it: the text that questions are made from, with blanks

Cases are split once, by the content of their input: half of them train, a quarter is held out for evaluation and a quarter for
comparisons. A case whose answer is not known only ever trains, unless a model judges. The version that history keeps follows
from all that an answer or its score can depend on: change a word of it, and earlier evaluations count no longer.
The prompt's text is no part of it: bundles, evaluations and steps are bound to its own digest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from statistics import fmean
from typing import Any, ClassVar

from jsonschema.protocols import Validator as SchemaValidator

from stepdown.digest import digest
from stepdown.errors import InvalidValue, of_code
from stepdown.scenarios import judging
from stepdown.scenarios.judges import Judge, judge
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Match, Probe, Validator, answer
from stepdown.scenarios.readers import read, spelled, written
from stepdown.scenarios.schemas import mismatch, validator

TASK = "stepdown.toml"

SHARES = {"training": 0.5, "held-out": 0.25, "comparison": 0.25}
"""Of the cases, by content."""

HELD_OUT, COMPARISON = 1_000_000, 2_000_000
"""First seed of the held-out cases, and of those for comparisons; below lie those that train."""

LEAST_HELD_OUT, LEAST_COMPARED = 8, 8
"""With fewer nothing could be said of a bundle."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        input: What is seen, by name.
        expected: The right answer, a JSON value; None with `labelled` off when nobody knows it.
        labelled: Whether it is known.
        line: Where it stands in its file, from 1.
    """

    input: Mapping[str, Any]
    expected: Any
    labelled: bool
    line: int


# Compared as itself: a task is read once, and what is measured of it is remembered by who it is.
@dataclass(frozen=True, eq=False)
class Task:
    """A scenario read from files; `Scenario` says what each method promises.

    Attributes:
        name: Its name.
        label: The version that its author gave it.
        rules: The instructions.
        answers: JSON Schema of an answer.
        reader: See `readers.READERS`.
        judge: Settings of the judge, see `judges.judge`.
        cases: All of them, in the order of the file.
        settings: The tables `frontier`, `training` and `policy`, as they stand.
        prompts: Its own texts by name, see `scenarios.texts`.
    """

    name: str
    label: int
    rules: str
    answers: Mapping[str, Any]
    reader: str
    judge: Mapping[str, Any]
    cases: Sequence[Case]
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    own_case: ClassVar[bool] = True

    @cached_property
    def version(self) -> int:
        """What history keeps: a number of 28 bits from the content of everything that an answer or a score depends on."""
        cases = [[case.input, case.expected, case.labelled] for case in self.cases]
        content = [self.label, self.rules, self.answers, self.reader, self.judge, cases]
        return int(digest(content)[:7], 16)

    @cached_property
    def _sides(self) -> Mapping[str, Sequence[Case]]:
        return split(self.cases, unlabelled=self.judging is not None)

    @cached_property
    def _judge(self) -> Judge:
        return judge_of(self.judge)

    @cached_property
    def _schema(self) -> SchemaValidator:
        return validator(self.answers)

    @cached_property
    def validators(self) -> Mapping[str, Validator]:
        """The harness: that there is an answer in the reply, and that it is one of the schema's."""
        return {"readable": self._readable, "schema": self._fits}

    def schema(self) -> Mapping[str, Any]:
        """Return the answer's JSON Schema, as its author wrote it."""
        return self.answers

    def case(self, seed: int) -> Case:
        """Return the case of a seed."""
        for first, side in ((COMPARISON, "comparison"), (HELD_OUT, "held-out")):
            if seed >= first:
                return self._sides[side][(seed - first) % len(self._sides[side])]
        return self._sides["training"][seed % len(self._sides["training"])]

    def seed_of(self, case: Mapping[str, Any]) -> int | None:
        """Return the seed of a case, by its input; None for one that the task does not have."""
        return self._seeds.get(digest(dict(case)))

    @cached_property
    def _seeds(self) -> Mapping[str, int]:
        firsts = {"training": 0, "held-out": HELD_OUT, "comparison": COMPARISON}
        return {
            digest(case.input): firsts[side] + position
            for side, cases in self._sides.items()
            for position, case in enumerate(cases)
        }

    def labelled(self, seed: int) -> bool:
        """Tell whether an answer to a seed's case has a score at once: it has none yet where a model judges."""
        return self.judging is None and self.case(seed).labelled

    def expected(self, seed: int) -> Any:
        """Return the right answer to a seed's case, if it is known."""
        return self.case(seed).expected

    @property
    def judging(self) -> judging.Judging | None:
        """Who judges, where a model does."""
        return judging.judging_of(self.judge)

    def observation(self, seed: int) -> Mapping[str, Any]:
        """Return the input of a case."""
        return self.case(seed).input

    def parse(self, reply: str) -> Answer:
        """Read a reply as the task declares it, and accept what its schema accepts."""
        try:
            value = read(self.reader, reply)
        except ValueError as error:
            raise IllegalAnswer(str(error)) from None
        problem = mismatch(self._schema, value)
        if problem is not None:
            raise IllegalAnswer(f"not what the schema asks for: {problem}")
        return answer(value)

    def play(self, answer: Answer, seed: int) -> Match:
        """Judge an answer against what is expected of its case; the score is the mean of the judge's parts."""
        parts = dict(self._judge(answer.value, self.case(seed).expected))
        score = round(fmean(parts.values()), 4) if parts else 0.0
        return Match(seed, score, score == 1, parts)

    @property
    def written(self) -> Callable[[str], str] | None:
        """How an answer stands in a reply, where the reader wants more, or other, than JSON."""
        return None if self.reader == "json" else partial(spelled, self.reader)

    def probes(self) -> Sequence[Probe]:
        """Return what coverage is measured on: right answers of the cases, and replies that are none."""
        return self._probes

    @cached_property
    def _probes(self) -> Sequence[Probe]:
        right = [written(self.reader, case.expected) for case in self.cases if case.labelled][:12]
        wrong = ["", " ", "Sure! Here is the answer.", "{", "[]", "{}", "null", "```\n```", '{"a":1,"a":2}', "NaN"]
        replies = dict.fromkeys([*right, *wrong])
        return [Probe(reply, self._legal(reply), "a case" if reply in right else "no answer") for reply in replies]

    def _legal(self, reply: str) -> bool:
        try:
            self.parse(reply)
        except IllegalAnswer:
            return False
        return True

    def tournament_seeds(self) -> Sequence[int]:
        """Return none: every answer is judged on its own case."""
        return ()

    def holdout_seeds(self) -> Sequence[int]:
        """Return the seeds of the held-out cases."""
        return range(HELD_OUT, HELD_OUT + len(self._sides["held-out"]))

    def comparison_seeds(self) -> Sequence[int]:
        """Return the seeds of the cases for comparisons."""
        return range(COMPARISON, COMPARISON + len(self._sides["comparison"]))

    def _readable(self, reply: str) -> str | None:
        try:
            read(self.reader, reply)
        except ValueError:
            return f"The reply is not written as {self.reader}."
        return None

    def _fits(self, reply: str) -> str | None:
        try:
            value = read(self.reader, reply)
        except ValueError:
            return None
        return None if mismatch(self._schema, value) is None else "The answer is not one that the schema accepts."


def split(cases: Sequence[Case], *, unlabelled: bool = False) -> Mapping[str, Sequence[Case]]:
    """Return the cases by side, each by the content of its input alone, so that none moves when others are added.

    Args:
        cases: All of them.
        unlabelled: Whether an answer to a case can be judged where what is right is not known; else such a case only trains.
    """
    sides: dict[str, list[Case]] = {side: [] for side in SHARES}
    for case in cases:
        share = int(digest(case.input)[:8], 16) / 2**32
        held_out = share >= SHARES["training"] + SHARES["held-out"]
        side = "comparison" if held_out else "held-out" if share >= SHARES["training"] else "training"
        sides[side if case.labelled or unlabelled else "training"].append(case)
    return sides


def judge_of(settings: Mapping[str, Any]) -> Judge:
    """Return the judge that a task names: one of `judges`, or a Python function as `python:MODULE:FUNCTION`.

    The function takes the answer and what was expected, and returns a score from 0 to 1, or parts of one by name.

    Raises:
        InvalidValue: It names none.
    """
    if (kind := settings.get("kind")) == judging.KIND and judging.checked(settings):
        return lambda *_: {}  # Never asked: an answer has no score before the judging call.
    if not isinstance(kind, str) or not kind.startswith("python:"):
        return judge(settings)
    _, _, path = kind.partition(":")
    module, colon, name = path.partition(":")
    if not (module and colon and name) or settings.keys() != {"kind"}:
        raise InvalidValue(f"judge: a Python judge is written python:MODULE:FUNCTION, and nothing else, not {kind!r}.")
    try:
        function: Callable[[Any, Any], Any] = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        raise InvalidValue(f"judge: {path} cannot be imported ({of_code(error)}).") from error

    def judged(given: Any, expected: Any) -> Mapping[str, float]:
        verdict = function(given, expected)
        return verdict if isinstance(verdict, Mapping) else {"score": verdict}

    return judged
