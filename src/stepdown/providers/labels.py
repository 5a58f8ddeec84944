"""The people who labelled a task's cases, as its frontier: a question that is one of the cases gets the answer they gave.

So a team that has right answers and no model to ask can train from them, and a bundle is compared with people.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from stepdown.errors import InvalidValue, ProviderError, Refused
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.prompt import in_one_line
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.readers import written
from stepdown.scenarios.roles import COACH
from stepdown.scenarios.tasks import Task


def make(argument: str | None, scenario: Scenario) -> "Labels":
    """Return the provider `labels` of a task in files.

    Raises:
        InvalidValue: It takes no argument.
        Refused: The scenario has no cases with known answers.
    """
    if argument is not None:
        raise InvalidValue(f"The frontier labels takes no argument, and was given {argument!r}.")
    if not isinstance(scenario, Task):
        raise Refused(
            f"The frontier labels knows the cases of a task in files, and {scenario.name} is none; choose another one.",
            kind="frontier-cannot-propose",
        )
    answers = {in_one_line(case.input): case.expected for case in scenario.cases if case.labelled}
    return Labels(answers, scenario.reader)


@dataclass(frozen=True, slots=True)
class Labels:
    """Answers what is known.

    Attributes:
        answers: A case in one line, to its answer.
        reader: How an answer stands in a reply.
    """

    answers: Mapping[str, Any]
    reader: str
    name: ClassVar[str] = "labels"
    model: ClassVar[str] = "cases"

    def complete(self, request: Request) -> Completion:
        """Give the answer that people gave, and teach nothing: the examples do.

        Raises:
            ProviderError: Nobody knows the answer (`not-labelled`).
        """
        if request.role == COACH:
            lesson = {"playbook": "Answer as the examples do.", "hints": "Read the whole case."}
            return Completion(json.dumps(lesson), self.name, self.model)
        case = in_one_line(request.case or {})
        if case not in self.answers:
            raise ProviderError("Nobody labelled this case; add it with what is expected.", error_type="not-labelled")
        return Completion(written(self.reader, self.answers[case]), self.name, self.model)
