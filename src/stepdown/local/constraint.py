"""Holding a reply to a JSON Schema while it is decoded, by llguidance: no token is taken that leads to no legal reply."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import llguidance
import llguidance.numpy as masks
import mlx.core as mx
import numpy as np

from stepdown.digest import canonical
from stepdown.errors import LocalError
from stepdown.local.chat import Chat

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
FORM = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
"""How answers are written in training records: no spaces."""


LONGEST_NUMBER = 15
"""Digits in a row, as many as a double keeps: a schema lets a number go on for ever, and a model that knows nothing does."""


class Grammar:
    """What a model's tokens may say.

    Args:
        chat: Of the model.
        vocab: Scores that the model gives after each token; it may be more than the tokenizer knows.
    """

    def __init__(self, chat: Chat, vocab: int) -> None:
        self._vocab = vocab
        self._end = chat.end
        self._tokens = llguidance.LLTokenizer(
            chat.description(), n_vocab=max(vocab, chat.size), eos_token=sorted(chat.ends)
        )
        self._compiled = lru_cache(maxsize=16)(self._compile)
        digits = [token for text, token in chat.tokens().items() if text[:1] in "0123456789" and token < vocab]
        self._digits = np.isin(np.arange(vocab), digits)

    def follow(self, schema: Mapping[str, Any]) -> "Follower":
        """Return a follower of one reply.

        Raises:
            LocalError: The schema says something that the decoder cannot follow.
        """
        # Names in order: that is how an answer's canonical text has them.
        matcher = llguidance.LLMatcher(self._tokens, self._compiled(canonical(schema)))
        return Follower(matcher, self._tokens, self._digits, self._end)

    def _compile(self, schema: bytes) -> str:
        return compiled(schema, self._tokens)


def compiled(schema: bytes, tokens: llguidance.LLTokenizer | None = None) -> str:
    """Return the grammar of a schema.

    Args:
        schema: JSON.
        tokens: Of the model; without any, only what no model could follow is found.

    Raises:
        LocalError: The schema says something that the decoder cannot follow.
    """
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema.decode(), overrides=FORM)  # type: ignore[arg-type]
    if problem := llguidance.LLMatcher.validate_grammar(grammar, tokens):
        words = " ".join(problem.split())[:200]
        raise LocalError(f"No reply can be held to the schema ({words}); change it, or plan without `constrained`.")
    return grammar


class Follower:
    """One reply as it grows: a logits processor of mlx-lm.

    Where the schema leaves one way to go on, that way is the only one, in the tokens that the tokenizer itself would write: a
    reply is the same whether somebody skips such tokens (`forced`) or lets the model choose among the one.
    """

    def __init__(
        self, matcher: llguidance.LLMatcher, tokens: llguidance.LLTokenizer, digits: np.ndarray, end: int
    ) -> None:
        self._matcher = matcher
        self._tokens = tokens
        self._digits = digits
        self._vocab = len(digits)
        self._end = end
        self._mask = masks.allocate_token_bitmask(1, self._vocab)
        self._text = ""
        self._forced: list[int] = []
        self._begun = False
        self._look_ahead()

    def __call__(self, tokens: mx.array, scores: mx.array) -> mx.array:
        """Return the scores of what may come next; the rest is impossible.

        Args:
            tokens: Read and generated so far.
            scores: (1, vocab).
        """
        # The first call comes before anything is generated; the last token is then the prompt's.
        if self._begun:
            self.take(cast("int", tokens[-1].item()))
        self._begun = True
        return self.hold(scores)

    @property
    def forced(self) -> int | None:
        """The token that must come next, if only one can."""
        return self._forced[0] if self._forced else None

    def take(self, token: int) -> None:
        """Go on by one token of the reply."""
        if self._matcher.is_stopped():
            return
        self._matcher.consume_token(token)
        self._text += self._tokens.decode_str([token])
        if self._forced:
            self._forced.pop(0)
        if not self._forced:
            self._look_ahead()

    def hold(self, scores: mx.array) -> mx.array:
        """Make impossible what may not come next; scores are (1, vocab)."""
        return mx.where(mx.array(self._allowed())[None], scores, -mx.inf)

    def _look_ahead(self) -> None:
        # Where nothing can follow the matcher stops, before the end was said; and nothing but the end may be.
        self._forced = [self._end] if self._matcher.is_stopped() else self._matcher.compute_ff_tokens()

    def _allowed(self) -> np.ndarray:
        if self._forced:
            return np.isin(np.arange(self._vocab), self._forced[:1])
        masks.fill_next_token_bitmask(self._matcher, self._mask)
        allowed = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: self._vocab].astype(bool)
        shorter = allowed & ~self._digits
        return shorter if self._number_is_long() and shorter.any() else allowed

    def _number_is_long(self) -> bool:
        end = self._text[-LONGEST_NUMBER:]
        if len(end) < LONGEST_NUMBER or not end.isdigit():
            return False
        # Inside a text digits may go on as the schema says.
        return len(_STRINGS.sub("", self._text).split('"')) == 1
