"""How a pretrained model is asked: its own chat template, the same one when it is tuned, evaluated and served."""

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from stepdown.errors import InvalidValue, LoadFailed, in_one_line

_PROMPT, _ANSWER = "(the prompt)", "(the answer)"
"""What stands for them in the template; no template writes these words itself."""


class Chat:
    """Texts into tokens, in the words of a model's chat template.

    What is asked and answered is always spelled out: a special token's name inside it is text, and ends no turn.

    Args:
        tokenizer: As mlx-lm loads it.

    Raises:
        LoadFailed: It has no template, or one that fails, leaves out what is asked, or says it twice.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise LoadFailed("the tokenizer has no chat template; nobody could say how its model was asked")
        backend = tokenizer.backend_tokenizer.to_str()
        self._words, self._marks = Tokenizer.from_str(backend), Tokenizer.from_str(backend)
        for each in (self._words, self._marks):
            each.no_padding()
            each.no_truncation()
        self._words.encode_special_tokens = True
        question = [{"role": "user", "content": _PROMPT}]
        asked = _rendered(tokenizer, question, add_generation_prompt=True)
        if asked.count(_PROMPT) != 1:
            raise LoadFailed("its chat template leaves out what is asked, or says it twice")
        self.before, self.after = asked.split(_PROMPT)
        self._before, self._after = self._encode(self.before), self._encode(self.after)
        ending = self._ending(tokenizer, question)
        self.ends = frozenset({ending, *tokenizer.eos_token_ids})
        self.end = ending

    def prompt(self, text: str) -> list[int]:
        """Return the tokens of a question, up to where the answer begins.

        Raises:
            InvalidValue: The text is empty, or holds half a surrogate pair.
        """
        if not text:
            raise InvalidValue("An empty prompt asks nothing.")
        return [*self._before, *self._spelled(text), *self._after]

    def completion(self, text: str) -> list[int]:
        """Return the tokens of an answer, and the one that ends it."""
        return [*self._spelled(text), self.end]

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of an answer's tokens, without what ends it."""
        kept = list(tokens)
        while kept and kept[-1] in self.ends:
            kept.pop()
        return self._words.decode(kept, skip_special_tokens=False)

    def tokens(self) -> dict[str, int]:
        """Return every token by how the tokenizer writes it."""
        return dict(self._words.get_vocab())

    @property
    def size(self) -> int:
        """Tokens that it knows."""
        return max(self._words.get_vocab().values()) + 1

    def description(self) -> str:
        """Return the tokenizer as text, for others that read tokens."""
        return self._words.to_str()

    def _spelled(self, text: str) -> list[int]:
        try:
            return list(self._words.encode(text, add_special_tokens=False).ids)
        except (TypeError, UnicodeEncodeError) as error:
            raise InvalidValue("Half a surrogate pair is not text; repair it before it is encoded.") from error

    def _encode(self, text: str) -> list[int]:
        return list(self._marks.encode(text, add_special_tokens=False).ids)

    def _ending(self, tokenizer: Any, question: list[dict[str, str]]) -> int:
        """Return the token that ends an answer: what the template writes after one, if that is one token, or the end mark."""
        dialogue = _rendered(tokenizer, [*question, {"role": "assistant", "content": _ANSWER}])
        rest = self._encode(dialogue.rpartition(_ANSWER)[2])
        special = {token for token, added in self._marks.get_added_tokens_decoder().items() if added.special}
        if rest and rest[0] in special:
            return rest[0]
        if tokenizer.eos_token_id is None:
            raise LoadFailed("the tokenizer has no token that ends an answer")
        return int(tokenizer.eos_token_id)


def _rendered(tokenizer: Any, messages: list[dict[str, str]], **options: Any) -> str:
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except Exception as error:  # A template is a program.
        raise LoadFailed(f"its chat template fails ({in_one_line(error)})") from error
