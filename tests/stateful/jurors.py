"""Who judges the answers of the neighbour that a model judges: by the words that it is shown alone, and in each way to fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from zlib import crc32

from stepdown.errors import ProviderError
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.judging import Judging

JURY = "jury"
"""The neighbour's name."""
WORD = "jurors"
ANSWER = "Answer: "
JUDGING = Judging(WORD, f"Do: $instructions\nCase: $case\nRight: $expected\n{ANSWER}$answer\n")
MOODS = ("calm", "hesitant", "vague", "silent")


class Jurors:
    """A model that judges.

    Args:
        mood: Says how it is now: `hesitant` fails every other time, and `vague` gives a verdict that is none.
    """

    name, model = WORD, "twelve"

    def __init__(self, mood: Callable[[], str]) -> None:
        self._mood, self._calls = mood, count()

    def complete(self, request: Request) -> Completion:
        """Give equal answers equal scores."""
        mood = self._mood()
        if mood == "silent" or (mood == "hesitant" and next(self._calls) % 2):
            raise ProviderError("The jury is out.", error_type="silence")
        answer = request.prompt.partition(ANSWER)[2]
        score = 2 if mood == "vague" else crc32(answer.encode()) % 101 / 100
        return Completion(
            json.dumps({"score": score, "why": f"{len(answer)} characters"}), self.name, self.model, None, 11, 3
        )
