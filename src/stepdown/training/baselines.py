"""What is reached without training: one answer for all, the nearest question's, a linear choice among the known."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

WIDTH = 4096
"""Features: hashed, so that no vocabulary has to be kept."""

RIDGE = 1.0

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Known:
    """What history holds of a role.

    Attributes:
        prompts: What was asked.
        answers: Canonical texts.
        scores: 0..1.
    """

    prompts: Sequence[str]
    answers: Sequence[str]
    scores: Sequence[float]


def constant(examples: Known, questions: Sequence[str]) -> list[str]:
    """Answer everything alike: with what was right most often, counted by score."""
    weights: Counter[str] = Counter()
    for answer, score in zip(examples.answers, examples.scores, strict=True):
        weights[answer] += score  # type: ignore[assignment]  # a Counter counts what can be added
    best = max(sorted(weights), key=lambda answer: weights[answer])
    return [best] * len(questions)


def nearest(examples: Known, questions: Sequence[str]) -> list[str]:
    """Answer with what was answered to the most similar question."""
    features, asked = _features(examples.prompts, questions)
    return [examples.answers[row] for row in np.argmax(asked @ features.T, axis=1)]


def linear(examples: Known, questions: Sequence[str]) -> list[str]:
    """Answer with the known answer that a ridge regression on the question's features prefers."""
    features, asked = _features(examples.prompts, questions)
    answers = sorted(set(examples.answers))
    places = {answer: column for column, answer in enumerate(answers)}
    wanted = np.zeros((len(examples.answers), len(answers)), np.float32)
    wanted[np.arange(len(examples.answers)), [places[answer] for answer in examples.answers]] = 1
    centre = wanted.mean(axis=0)
    # In the dual: there are fewer records than features.
    gram = features @ features.T + RIDGE * np.eye(len(features), dtype=np.float32)
    preferred = asked @ (features.T @ np.linalg.solve(gram, wanted - centre)) + centre
    return [answers[column] for column in np.argmax(preferred, axis=1)]


def _features(prompts: Sequence[str], questions: Sequence[str]) -> tuple[Features, Features]:
    """Return rows of length 1: how often which words and three letters stand in a text, rare ones weighing more."""
    counted = [_counts(text) for text in (*prompts, *questions)]
    table = np.zeros((len(counted), WIDTH), np.float32)
    for row, counts in enumerate(counted):
        for column, number in counts.items():
            table[row, column] = number
    trained = table[: len(prompts)]
    rarity = np.log((1 + len(prompts)) / (1 + (trained > 0).sum(axis=0))) + 1e-6
    table = np.log1p(table) * rarity.astype(np.float32)
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    return table[: len(prompts)], table[len(prompts) :]


def _counts(text: str) -> Counter[int]:
    words = text.lower().split()
    letters = " ".join(words)
    pieces = [*words, *(letters[first : first + 3] for first in range(max(0, len(letters) - 2)))]
    return Counter(crc32(piece.encode("utf-8", "replace")) % WIDTH for piece in pieces)


BASELINES = {"one answer for all": constant, "nearest question": nearest, "linear choice": linear}
"""By name: from what is known and what is asked to one answer each."""
