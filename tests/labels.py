"""A task with a label as answer: short messages in five moods, each judged on its own case, as in a team's own scenario."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Match, Probe, Validator, answer

WORDS: Mapping[str, Sequence[str]] = {
    "anger": ("furious", "outrage", "rage"),
    "fear": ("afraid", "scared", "dread"),
    "joy": ("happy", "delight", "cheer"),
    "sorrow": ("sad", "grief", "tears"),
    "surprise": ("sudden", "unexpected", "wow"),
}
FILLERS = ("today", "again", "so", "we are", "it was", "really")


def known_label(reply: str) -> str | None:
    """Object to a reply that is not one of the labels, quoted."""
    return None if reply in {json.dumps(label) for label in WORDS} else "The reply is not one of the labels."


class Moods:
    """A message in, one of five labels out."""

    name: ClassVar[str] = "moods"
    version: ClassVar[int] = 1
    rules: ClassVar[str] = "Answer with the mood of the message, a JSON string."
    own_case: ClassVar[bool] = True
    validators: ClassVar[Mapping[str, Validator]] = {"known-label": known_label}

    def schema(self) -> Mapping[str, Any]:
        """One of five words."""
        return {"enum": sorted(WORDS)}

    def observation(self, seed: int) -> Mapping[str, str]:
        """Draw a message."""
        draw = random.Random(f"moods/{seed}")
        return {"message": f"{draw.choice(FILLERS)} {draw.choice(WORDS[self.label(seed)])} {draw.choice(FILLERS)}"}

    def label(self, seed: int) -> str:
        """The right answer."""
        return sorted(WORDS)[random.Random(f"label/{seed}").randrange(len(WORDS))]

    def parse(self, reply: str) -> Answer:
        """Read a label."""
        if known_label(reply):
            raise IllegalAnswer("not one of the labels")
        return answer(json.loads(reply))

    def play(self, given: Answer, seed: int) -> Match:
        """Right is 1, wrong is 0."""
        right = float(given.value == self.label(seed))
        return Match(seed, right, right == 1, {"right": right})

    def probes(self) -> Sequence[Probe]:
        """Labels and none."""
        return [*(Probe(json.dumps(label), True, "the task") for label in WORDS), Probe('"bliss"', False, "made up")]

    def tournament_seeds(self) -> Sequence[int]:
        """None: every answer has a case of its own."""
        return ()

    def holdout_seeds(self) -> Sequence[int]:
        """Held-out cases."""
        return range(1_000_000, 1_000_064)

    def comparison_seeds(self) -> Sequence[int]:
        """Cases for comparisons."""
        return range(2_000_000, 2_000_064)


@dataclass
class Oracle:
    """A frontier that answers each question right, from the message alone; a coach of few words."""

    concurrency: int = 1
    name: str = "oracle"
    model: str = "oracle-1"
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Completion:
        """Find the word in the prompt's message."""
        self.asked.append(request)
        if request.role == "coach":
            return Completion('{"playbook":"Read the message.","hints":"One word tells."}', self.name, self.model)
        message = request.prompt.partition("message=")[2]
        label = next(label for label, words in WORDS.items() if any(word in message for word in words))
        return Completion(json.dumps(label), self.name, self.model, None, 9, 1)
