"""How a pretrained base is tuned: the numbers that, with base and dataset, decide every byte of what is learned."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, cast

from stepdown.bundles.kinds import ADAPTER, KINDS, MODEL
from stepdown.digest import digest
from stepdown.errors import InvalidValue
from stepdown.training.plan import Plan, check_number, read_object

_LIMITS: dict[str, tuple[float, float]] = {
    "layers": (-1, 10_000),
    "rank": (1, 1024),
    "scale": (1e-6, 1e6),
    "dropout": (0.0, 0.99),
    "iterations": (1, 1_000_000),
    "batch": (1, 1024),
    "accumulate": (1, 1024),
    "learning_rate": (1e-9, 1.0),
    "warmup": (0, 1_000_000),
    "weight_decay": (0.0, 10.0),
    "window": (16, 1_048_576),
    "checkpoint_every": (1, 1_000_000),
    "seed": (0, 2**32 - 1),
}

METHODS = ("lora", "dora", "full")
SCHEDULES = ("constant", "linear", "cosine")
FORMS = (ADAPTER.name, MODEL.name)


@dataclass(frozen=True, slots=True)
class Tuning:
    """One tuning of a base, complete. Names and defaults are mlx-lm's where it has them.

    Attributes:
        base: Name of the base in the workspace.
        method: `lora`, `dora`, or `full`, which changes the layers themselves. On a quantized base `lora` is QLoRA.
        layers: Blocks that learn, counted from the last; -1 is all.
        rank: Of each low-rank change.
        scale: What a change is multiplied by.
        dropout: Share of a change's inputs that is dropped while training, 0..1.
        keys: Which parts of a block learn, as mlx-lm names them (`self_attn.q_proj`); none named is every linear one.
        iterations: Optimizer steps.
        batch: Records that are read at once.
        accumulate: Batches per optimizer step; their gradients are averaged.
        learning_rate: Peak of the schedule.
        warmup: Steps until the peak.
        schedule: What follows the warmup: `constant`, `linear` to a twentieth, or `cosine` down to it.
        weight_decay: Decoupled decay (AdamW).
        mask_prompt: Learn the completions alone, not the prompts.
        grad_checkpoint: Compute activations twice instead of keeping them: less memory, more time.
        window: Tokens of prompt and completion at most; longer records are refused, never cut.
        checkpoint_every: Steps between two checkpoints.
        form: `adapter`, which answers only with its base, or `model`: both in one, which stands alone and is as large as both.
        constrained: Hold replies to the answer's JSON Schema while they are decoded.
        seed: Of initial changes, order of records and dropout.
    """

    base: str
    method: str = "lora"
    layers: int = 16
    rank: int = 8
    scale: float = 20.0
    dropout: float = 0.0
    keys: tuple[str, ...] = ()
    iterations: int = 200
    batch: int = 4
    accumulate: int = 1
    learning_rate: float = 1e-3
    warmup: int = 10
    schedule: str = "cosine"
    weight_decay: float = 0.01
    mask_prompt: bool = True
    grad_checkpoint: bool = False
    window: int = 1024
    checkpoint_every: int = 50
    form: str = ADAPTER.name
    constrained: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            InvalidValue: A field has the wrong type or is out of range.
        """
        for name, limits in _LIMITS.items():
            check_number(name, getattr(self, name), limits, whole=_TYPES[name] is int)
        for name, allowed in (("method", METHODS), ("schedule", SCHEDULES), ("form", FORMS)):
            if getattr(self, name) not in allowed:
                raise InvalidValue(f"plan: {name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}.")
        for name in ("mask_prompt", "grad_checkpoint", "constrained"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidValue(f"plan: {name} must be true or false, not {getattr(self, name)!r}.")
        if not isinstance(self.base, str) or not self.base:
            raise InvalidValue("plan: base is the name of a base; `stepdown base list` shows them.")
        if not (isinstance(self.keys, tuple) and all(isinstance(key, str) and key for key in self.keys)):
            raise InvalidValue(f"plan: keys is a list of names, not {self.keys!r}.")
        if self.layers == 0:
            raise InvalidValue("plan: layers must be 1 or more, or -1 for all.")

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Read the fields of a JSON object; those left out keep their defaults.

        Raises:
            InvalidValue: An unknown field, or a value out of range.
        """
        if unknown := sorted(content.keys() - {field.name for field in fields(cls)}):
            raise InvalidValue(f"plan: unknown fields {', '.join(unknown)}.")
        keys = content.get("keys", ())
        return cls(**{**content, "keys": tuple(keys) if isinstance(keys, list | tuple) else keys})

    @property
    def kind(self) -> str:
        """Word of the kind of bundle that it makes."""
        return KINDS[self.form].name

    def to_json(self) -> str:
        """Return the canonical text: sorted keys, no spaces."""
        numbers = {name: _TYPES[name](getattr(self, name)) for name in _LIMITS}
        return json.dumps({**asdict(self), "keys": list(self.keys), **numbers}, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """Return the digest of the plan, hex; what the base is called does not decide what is learned from it."""
        return digest({name: value for name, value in json.loads(self.to_json()).items() if name != "base"})

    def rate(self, iteration: int) -> float:
        """Return the learning rate of one optimizer step, counted from 0."""
        if iteration < self.warmup:
            return self.learning_rate * (iteration + 1) / (self.warmup + 1)
        from math import cos, pi

        done = (iteration - self.warmup) / max(1, self.iterations - self.warmup)
        shape = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + cos(pi * done))}[self.schedule]
        return self.learning_rate * (FLOOR + (1 - FLOOR) * shape)


FLOOR = 0.05
"""Where a schedule ends, as a share of the peak rate."""

_TYPES = {f.name: cast("type[int | float]", f.type) for f in fields(Tuning) if f.name in _LIMITS}

AnyPlan = Plan | Tuning


def parse_plan(text: str, base: str | None = None) -> AnyPlan:
    """Read a plan of either kind: one that names a base tunes it, any other trains a net of our own.

    Args:
        text: A JSON object.
        base: The base that it shall tune, whether or not it names one.

    Raises:
        InvalidValue: Not a JSON object, an unknown field, or a value out of range.
    """
    content = read_object(text)
    if base is not None:
        content["base"] = base
    return Tuning.of(content) if "base" in content else Plan.of(content)
