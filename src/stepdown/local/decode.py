"""Answering with a trained net: files in memory in, replies out."""

# mypy: allow-untyped-calls
# mlx.nn is only partly typed.

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from tokenizers import Tokenizer

from stepdown.errors import ContextOverflow, InvalidValue, LoadFailed, LocalTimeout, in_one_line
from stepdown.local.blas import load_blas
from stepdown.local.model import Llama, Shape
from stepdown.local.provider import LocalReply
from stepdown.local.reading import Reading, choose
from stepdown.local.tokens import encode, read_tokenizer

_LONGEST_HEADER = 16 << 20  # Bytes; a net of ours has a few thousand.
_ROWS = 64  # Prompts read at once: more wins nothing on a CPU, and attention scores grow with it.


def never() -> bool:
    """Say that time is not up: the default of ``expired``."""
    return False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A net ready to answer.

    Attributes:
        shape: Its sizes.
        weights_digest: SHA-256 of the very bytes the weights were read from, hex.
    """

    shape: Shape
    weights_digest: str
    _net: Llama = field(repr=False)
    _tokenizer: Tokenizer = field(repr=False)

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        expired: Callable[[], bool] = never,
        schema: Mapping[str, Any] | None = None,  # noqa: ARG002  # a net of ours has learned the one form it answers in
    ) -> list[LocalReply]:
        """Answer prompts, each as if it were asked alone.

        Args:
            prompts: Any texts; an empty list gives an empty one.
            max_tokens: Most tokens per reply; a reply also ends, unfinished, where the window does.
            temperature: 0 takes the likeliest token; above, tokens are drawn, flatter the higher it is.
            seeds: One per prompt, for drawing; by default 0, 1, 2 …
            expired: Asked before every token whether time is up.
            schema: Not looked at.

        Raises:
            ContextOverflow: A prompt leaves no room in the window for a reply.
            InvalidValue: An empty or unencodable prompt, or a number out of range.
            LocalTimeout: ``expired`` said yes; nothing of the replies is returned.
        """
        seeds = range(len(prompts)) if seeds is None else seeds
        if max_tokens < 1 or not 0 <= temperature < float("inf"):
            raise InvalidValue("max_tokens must be at least 1, and temperature a finite number not below 0.")
        if len(seeds) != len(prompts):
            raise InvalidValue(f"{len(prompts)} prompts need as many seeds, not {len(seeds)}.")
        encoded = [self._encode(prompt) for prompt in prompts]
        replies: list[LocalReply] = []
        for first in range(0, len(prompts), _ROWS):
            rows = encoded[first : first + _ROWS]
            draws = [random.Random(seed) for seed in seeds[first : first + _ROWS]]
            pick = partial(choose, temperature=temperature, draws=draws)
            outputs = self._decode(rows, max_tokens, pick, expired)
            replies += map(self._reply, rows, outputs)
        return replies

    def logits(self, tokens: Sequence[int]) -> mx.array:
        """Return the scores after each token of one sequence, (length, vocab).

        Raises:
            InvalidValue: No tokens, or one that the net does not know.
        """
        if not tokens or min(tokens) < 0 or max(tokens) >= self.shape.vocab:
            raise InvalidValue(f"Tokens are whole numbers from 0 to {self.shape.vocab - 1}, and at least one.")
        return self._net.logits(self._net.hidden(mx.array([list(tokens)])))[0]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, no end mark added."""
        return encode(self._tokenizer, text)

    def _encode(self, prompt: str) -> list[int]:
        tokens, window = self.encode(prompt), self.shape.window
        if not tokens:
            raise InvalidValue("An empty prompt asks nothing.")
        if len(tokens) >= window:
            raise ContextOverflow(
                f"The prompt has {len(tokens)} tokens and leaves no room for a reply in the window of {window}."
            )
        return tokens

    def _decode(
        self,
        prompts: Sequence[list[int]],
        max_tokens: int,
        pick: Callable[[mx.array], mx.array],
        expired: Callable[[], bool],
    ) -> list[list[int]]:
        """Decode one batch until every row has ended; rows that end early wait for the others.

        The net goes on from a column of tokens while it is looked at here: waiting for each other costs a small net as much
        as computing. What it computed past the last row's end is forgotten.
        """
        limits = [min(max_tokens, self.shape.window - len(prompt)) for prompt in prompts]
        outputs: list[list[int]] = [[] for _ in prompts]
        reading = Reading(self._net, self.shape.layers)
        column = pick(reading.begin(prompts))
        running = list(zip(range(len(prompts)), limits, strict=True))
        for left in reversed(range(max(limits))):
            if expired():
                raise LocalTimeout(f"Time was up after {max(map(len, outputs))} tokens.")
            following = pick(reading.advance(column)) if left else column
            mx.async_eval(following)
            chosen, column = cast("list[int]", column.tolist()), following
            for row, _ in running:
                outputs[row].append(chosen[row])
            running = [(r, n) for r, n in running if chosen[r] != self.shape.eos and len(outputs[r]) < n]
            if not running:
                break
        return outputs

    def _reply(self, prompt: list[int], output: list[int]) -> LocalReply:
        finished = output[-1] == self.shape.eos
        text = self._tokenizer.decode(output[:-1] if finished else output, skip_special_tokens=False)
        return LocalReply(text, len(prompt), len(output), finished)


def load(files: Mapping[str, bytes], _base: Path | None = None) -> Loaded:
    """Build a net from the bytes of its files, so that what was verified is what answers.

    Args:
        files: Name to content; ``config.json``, ``model.safetensors`` and ``tokenizer.json`` are needed.

    Raises:
        LoadFailed: One is missing, malformed, or does not fit the others.
        LocalError: The BLAS that is wished for cannot be had.
    """
    load_blas()
    if missing := [name for name in ("config.json", "model.safetensors", "tokenizer.json") if name not in files]:
        raise LoadFailed(f"The bundle has no {', '.join(missing)}.")
    shape, weights = Shape.parse(files["config.json"]), files["model.safetensors"]
    tokenizer = read_tokenizer(files["tokenizer.json"])
    # Checked here, because mlx reads past its memory when a token has no row in the embedding.
    if (highest := max(tokenizer.get_vocab().values())) >= shape.vocab:
        raise LoadFailed(f"tokenizer.json has a token {highest} and the net knows {shape.vocab}.")
    _check_layers(shape, weights)
    net = Llama(shape)
    _fill(net, weights)
    return Loaded(shape, hashlib.sha256(weights).hexdigest(), net, tokenizer)


def _check_layers(shape: Shape, weights: bytes) -> None:
    """Refuse a configuration of other layers than the file has tensors for, before a net of that depth is built."""
    # The format: eight bytes for the header's length, then the header (https://github.com/huggingface/safetensors#format).
    length = int.from_bytes(weights[:8], "little")
    if not 2 <= length <= min(_LONGEST_HEADER, len(weights) - 8):
        raise LoadFailed("model.safetensors has no header of a length that can be.")
    try:
        names = json.loads(weights[8 : 8 + length]).keys() - {"__metadata__"}
    except (ValueError, AttributeError, RecursionError) as error:
        raise LoadFailed("model.safetensors has no header that can be read.") from error
    layers = {name.split(".")[2] for name in names if name.startswith("model.layers.") and name.count(".") > 2}
    if len(layers) != shape.layers:
        raise LoadFailed(f"config.json gives {shape.layers} layers, and model.safetensors has {len(layers)}.")


def _fill(net: Llama, weights: bytes) -> None:
    """Put the tensors of a safetensors file into the net: all of them, and no others."""
    try:
        tensors = mx.load(BytesIO(weights), format="safetensors")
        assert isinstance(tensors, dict)
        net.load_weights(list(tensors.items()), strict=True)
        mx.eval(net.parameters())
    except (RuntimeError, ValueError, TypeError) as error:
        raise LoadFailed(f"model.safetensors does not hold this net's weights ({in_one_line(error)}).") from error
