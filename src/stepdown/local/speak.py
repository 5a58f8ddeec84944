"""Answering with a tuned language model: a bundle's files and its base in, replies out, by mlx-lm's own batches."""

# mypy: allow-untyped-calls

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import mlx.core as mx

from stepdown.bundles.kinds import ADAPTER, MODEL
from stepdown.bundles.manifest import digest_with_base
from stepdown.digest import sha256
from stepdown.errors import ContextOverflow, InvalidValue, LoadFailed, LocalTimeout, in_one_line
from stepdown.local.blas import all_cores
from stepdown.local.pretrained import Pretrained, opened, read_directory
from stepdown.local.provider import LocalReply
from stepdown.local.single import READ, Sampler, SingleReply, read

SERVING = "serving.json"
"""Beside the weights: how the bundle is decoded."""

SHARED = 16
"""Tokens that prompts must have in common before their reading is kept."""

_ROWS = 64  # Replies that grow side by side.


def never() -> bool:
    """Say that time is not up: the default of ``expired``."""
    return False


@dataclass(slots=True)
class Speaker:
    """A tuned language model ready to answer.

    Attributes:
        weights_digest: Of the bundle's weights, and of the base's files where it needs one.
        constrained: Whether replies are held to the schema that comes with a question.
    """

    weights_digest: str
    constrained: bool
    _model: Pretrained = field(repr=False)
    _grammar: Any = field(default=None, repr=False)
    _shared: "tuple[list[int], list[Any]] | None" = field(default=None, repr=False)
    _last: list[int] = field(default_factory=list, repr=False)

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        expired: Callable[[], bool] = never,
        schema: Mapping[str, Any] | None = None,
    ) -> list[LocalReply]:
        """Answer prompts, each as if it were asked alone; `local.provider.Model` says with which words and errors."""
        seeds = range(len(prompts)) if seeds is None else seeds
        if max_tokens < 1 or not 0 <= temperature < float("inf"):
            raise InvalidValue("max_tokens must be at least 1, and temperature a finite number not below 0.")
        encoded = [self._encode(prompt) for prompt in prompts]
        replies: list[LocalReply] = []
        with all_cores():
            for first in range(0, len(prompts), _ROWS):
                rows, own = encoded[first : first + _ROWS], seeds[first : first + _ROWS]
                outputs = self._answer(rows, own, max_tokens, temperature, expired, schema)
                replies += map(self._reply, rows, outputs)
        return replies

    def _encode(self, prompt: str) -> list[int]:
        tokens = self._model.chat.prompt(prompt)
        if len(tokens) >= self._model.context:
            raise ContextOverflow(
                f"The prompt has {len(tokens)} tokens and leaves no room for a reply in the {self._model.context} of the model."
            )
        return tokens

    def _answer(
        self,
        rows: Sequence[list[int]],
        seeds: Sequence[int],
        max_tokens: int,
        temperature: float,
        expired: Callable[[], bool],
        schema: Mapping[str, Any] | None,
    ) -> list[list[int]]:
        """Decode one batch; prompts that begin alike are read together up to where they part."""
        followers = [self._follower(schema) for _ in rows]
        limits = [min(max_tokens, self._model.context - len(row)) for row in rows]
        shared, caches = self._read_together(rows, expired)
        if len(rows) == 1:
            cache = caches[0] if caches else None
            reply = SingleReply(self._model, cache, Sampler(temperature, seeds[0]), followers[0], expired)
            return [reply.grow(rows[0][shared:], limits[0])]
        samplers: list[Any] | None = [Sampler(temperature, seed) for seed in seeds] if temperature else None
        return self._batch(rows, shared, caches, limits, samplers, followers, expired)

    def _batch(
        self,
        rows: Sequence[list[int]],
        shared: int,
        caches: list[list[Any]] | None,
        limits: list[int],
        samplers: list[Any] | None,
        followers: Sequence[Any],
        expired: Callable[[], bool],
    ) -> list[list[int]]:
        """Let mlx-lm decode rows side by side."""
        from mlx_lm.generate import BatchGenerator

        generator = BatchGenerator(
            self._model.model,
            stop_tokens=[[token] for token in sorted(self._model.chat.ends)],
            completion_batch_size=_ROWS,
            prefill_step_size=READ,
        )
        try:
            uids = generator.insert(
                [row[shared:] for row in rows],
                max_tokens=limits,
                caches=caches,
                all_tokens=[row[:shared] for row in rows],
                samplers=samplers,
                logits_processors=[[follower] if follower else [] for follower in followers],
            )
            outputs: dict[int, list[int]] = {uid: [] for uid in uids}
            running = set(uids)
            while running:
                if expired():
                    raise LocalTimeout(f"Time was up after {max(map(len, outputs.values()))} tokens.")
                for response in generator.next()[1]:
                    outputs[response.uid].append(response.token)
                    if response.finish_reason is not None:
                        running.discard(response.uid)
        finally:
            generator.close()
        return [outputs[uid] for uid in uids]

    def _read_together(
        self, rows: Sequence[list[int]], expired: Callable[[], bool]
    ) -> tuple[int, list[list[Any]] | None]:
        """Return how many tokens of every prompt are read already, and each one's own copy of that reading."""
        common = _alike([*rows, self._last or rows[0]])
        self._last = rows[0]
        shared = min(common, min(map(len, rows)) - 1)
        if shared < SHARED:
            return 0, None
        if self._shared is None or rows[0][: len(self._shared[0])] != self._shared[0] or len(self._shared[0]) > shared:
            self._shared = rows[0][:shared], read(self._model.model, rows[0][:shared], expired)
        tokens, cache = self._shared
        return len(tokens), [deepcopy(cache) for _ in rows]

    def _follower(self, schema: Mapping[str, Any] | None) -> Any:
        if not self.constrained or schema is None:
            return None
        if self._grammar is None:
            # Here and not above: a bundle that is not held to a schema needs no llguidance.
            from stepdown.local.constraint import Grammar

            scores = self._model.model(mx.array([[self._model.chat.end]]))
            self._grammar = Grammar(self._model.chat, scores.shape[-1])
        return self._grammar.follow(schema)

    def _reply(self, prompt: list[int], output: list[int]) -> LocalReply:
        chat = self._model.chat
        return LocalReply(chat.text(output), len(prompt), len(output), bool(output) and output[-1] in chat.ends)


def _alike(rows: Sequence[list[int]]) -> int:
    """Return how many first tokens all rows share."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False)))


def load(files: Mapping[str, bytes], base: Path | None = None) -> Speaker:
    """Open a tuned model from the bytes of its files, and of its base's.

    Args:
        files: Name to content.
        base: Directory of the base that an adapter answers with.

    Raises:
        LoadFailed: A file is missing, or mlx-lm cannot make a model of them.
    """
    try:
        # A base as it came says nothing of how it is decoded, and is held to what is asked for.
        constrained = bool(json.loads(files.get(SERVING, b'{"constrained":true}'))["constrained"])
    except (KeyError, ValueError, TypeError) as error:
        raise LoadFailed(f"The bundle's {SERVING} cannot be read.") from error
    rest = {path: data for path, data in files.items() if path != SERVING}
    if ADAPTER.weights_file not in files:
        if MODEL.weights_file not in files:
            raise LoadFailed(f"The bundle has no {MODEL.weights_file}.")
        return Speaker(sha256(files[MODEL.weights_file]), constrained, opened(rest))
    if base is None:
        raise LoadFailed("The bundle's base is not here.")
    try:
        model = opened(read_directory(base), rest)
    except (OSError, ValueError) as error:
        raise LoadFailed(f"The base cannot be read ({in_one_line(error)}).") from error
    return Speaker(digest_with_base(sha256(files[ADAPTER.weights_file]), model.digest), constrained, model)
