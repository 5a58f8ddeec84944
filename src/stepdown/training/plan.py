"""What to train: the numbers that, with the dataset, decide every byte of the weights."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from stepdown.bundles.kinds import NET
from stepdown.digest import parsed, shown
from stepdown.errors import InvalidValue, in_one_line

_LIMITS: dict[str, tuple[float, float]] = {
    "layers": (1, 64),
    "width": (8, 4096),
    "heads": (1, 64),
    "ffn": (8, 16384),
    "window": (16, 8192),
    "vocab": (260, 65536),
    "iterations": (1, 1_000_000),
    "batch": (1, 1024),
    "warmup": (0, 1_000_000),
    "learning_rate": (1e-9, 1.0),
    "weight_decay": (0.0, 10.0),
    "prompt_noise": (0.0, 1.0),
    "rehearsals": (0, 1000),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One training, complete: the shape of the net, how long it learns and from which seed.

    Attributes:
        layers: Transformer blocks.
        width: Size of the hidden state; a multiple of ``2 * heads``, because rotary positions turn pairs.
        heads: Attention heads.
        ffn: Hidden size of each feed-forward block.
        window: Tokens that prompt, completion and end mark share at most; longer records are refused, never cut.
        vocab: Upper bound of the tokenizer's size: 256 bytes, the special tokens and the merges.
        iterations: Optimizer steps.
        batch: Records per step.
        learning_rate: Peak of the schedule: linear warmup, then a cosine down to a twentieth.
        warmup: Steps until the peak.
        weight_decay: Decoupled decay (AdamW).
        prompt_noise: Largest share of a prompt's tokens that is replaced by random ones while training, 0..1. The
            net learns to answer well under a playbook that has been rewritten since (word dropout: Bowman et al. 2016,
            https://aclanthology.org/K16-1002/).
        rehearsals: Steps after each step with prompts that see completions alone, behind a short stretch of noise. They
            cost a fraction, and teach which numbers go together before the net can learn its few prompts by heart.
        seed: Of initial weights, order of records and noise.
    """

    layers: int = 1
    width: int = 64
    heads: int = 8
    ffn: int = 192
    window: int = 512
    vocab: int = 512
    iterations: int = 440
    batch: int = 12
    learning_rate: float = 5e-3
    warmup: int = 20
    weight_decay: float = 0.1
    prompt_noise: float = 1.0
    rehearsals: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be trained with.

        Raises:
            InvalidValue: A field has the wrong type, is out of range or does not fit another one.
        """
        for field in fields(self):
            check_number(field.name, getattr(self, field.name), _LIMITS[field.name], whole=_TYPES[field.name] is int)
        if self.width % (2 * self.heads):
            raise InvalidValue(f"plan: width {self.width} is not a multiple of twice the heads ({2 * self.heads}).")

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """Return a plan that trains in a few tenths of a second: often legal on a dozen records, never good."""
        small = {"layers": 1, "width": 48, "heads": 4, "ffn": 64, "iterations": 40, "batch": 6, "warmup": 4}
        return cls(**{**small, "learning_rate": 2e-2, **changes})

    @classmethod
    def for_cases(cls) -> Self:
        """Return the plan for answers that depend on the question: no prompt is disturbed, and none is left out."""
        return cls(prompt_noise=0.0, rehearsals=0, iterations=800, learning_rate=2e-3, layers=2)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``to_json`` wrote; fields left out keep their defaults.

        Raises:
            InvalidValue: Not a JSON object, an unknown field, or a value out of range.
        """
        return cls.of(read_object(text))

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Read the fields of a JSON object; those left out keep their defaults.

        Raises:
            InvalidValue: An unknown field, or a value out of range.
        """
        if unknown := sorted(content.keys() - {field.name for field in fields(cls)}):
            raise InvalidValue(f"plan: unknown fields {', '.join(unknown)}.")
        return cls(**content)

    @property
    def kind(self) -> str:
        """Word of the kind of bundle that it makes."""
        return NET.name

    def to_json(self) -> str:
        """Return the canonical text: sorted keys, no spaces."""
        # The field's type speaks, so that 1 and 1.0, which are equal, are also written alike.
        values = {field.name: _TYPES[field.name](getattr(self, field.name)) for field in fields(self)}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """Return the SHA-256 of the canonical text, hex; equal plans have equal digests."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


_TYPES: dict[str, Callable[[Any], int | float]] = {f.name: int if f.type is int else float for f in fields(Plan)}


def read_object(text: str) -> dict[str, Any]:
    """Read the JSON object of a plan.

    Raises:
        InvalidValue: It is none.
    """
    try:
        content = parsed(text)
    except ValueError as error:
        raise InvalidValue(f"plan: not JSON ({in_one_line(error)}).") from error
    if not isinstance(content, dict):
        raise InvalidValue("plan: not a JSON object.")
    return content


LONGEST_NUMBER = 40
"""Characters of a number that a sentence shows."""


def check_number(name: str, value: object, limits: tuple[float, float], *, whole: bool) -> None:
    """Refuse what is no number of a plan.

    Raises:
        InvalidValue: It has the wrong type or is out of its limits.
    """
    low, high = limits
    # bool is an int, and 1e3 is a float: neither may slip into a count.
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise InvalidValue(
            f"plan: {name} must be {'a whole' if whole else 'a'} number, not {shown(value)[:LONGEST_NUMBER]}."
        )
    if not low <= value <= high:  # NaN is between no two numbers.
        given = f"{value:g}" if isinstance(value, float) else f"{value}"[:LONGEST_NUMBER]
        raise InvalidValue(f"plan: {name} must be between {low:g} and {high:g}, not {given}.")
