"""The tokenizer: byte-level BPE, made from the training texts and saved so that any Hugging Face loader opens it."""

import json
import os
from collections.abc import Iterable, Mapping

# Before the Rust library starts its pool: one thread, so that merges are counted in one order.
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from stepdown.errors import InvalidValue, LoadFailed, in_one_line

END = "<|end|>"
"""Ends every completion; also fills the unused places of a batch."""

PASS_THROUGH = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '" + END + "' }}{% endif %}{% endfor %}"
)
"""A chat template that adds nothing to a question and an end mark to an answer: what a net of ours has learned. So others
that know chats alone, `mlx_lm.server` and `mlx_lm lora`, treat a prompt as it is treated here."""

# Tokens never cross these pieces: single digits, and words with their space and their punctuation. So the fixed text
# between two numbers of a JSON reply becomes one token, and only what the net must decide is left to decide.
_PIECE = r"\d|\s?[^\s\d]+|\s"


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    """Learn merges from texts; same texts, same tokenizer.

    The alphabet is all 256 bytes, so any text can be encoded and comes back unchanged. Digits stay single: a net that
    saw 0.98 as one token and 0.97 as another would have to learn each number by heart.

    Args:
        texts: What to learn from, in order.
        vocab: Upper bound of the vocabulary, end mark and bytes included; at least 257.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECE), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def tokenizer_files(tokenizer: Tokenizer, window: int) -> Mapping[str, str]:
    """Return the texts of ``tokenizer.json`` and its configuration for other loaders.

    Args:
        tokenizer: What ``train_tokenizer`` returned.
        window: Longest sequence of the model, in tokens.
    """
    config = {
        # Not LlamaTokenizer: transformers 5 would rebuild that one from its own recipe and ignore tokenizer.json.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END,
        "chat_template": PASS_THROUGH,
        "model_max_length": window,
        "clean_up_tokenization_spaces": False,
    }
    settings = json.dumps(config, indent=2, sort_keys=True) + "\n"
    return {"tokenizer.json": tokenizer.to_str(pretty=True) + "\n", "tokenizer_config.json": settings}


def read_tokenizer(content: bytes) -> Tokenizer:
    """Open the bytes of a ``tokenizer.json``.

    Raises:
        LoadFailed: They are not a tokenizer, or it has no end mark.
    """
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # The Rust library raises plain Exception and nothing narrower.
        raise LoadFailed(f"tokenizer.json is not a tokenizer ({in_one_line(error)}).") from error
    end_token(tokenizer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def end_token(tokenizer: Tokenizer) -> int:
    """Return the token that ends a completion.

    Raises:
        LoadFailed: The tokenizer has none.
    """
    token: int | None = tokenizer.token_to_id(END)
    if token is None:
        raise LoadFailed(f"tokenizer.json has no end mark {END}.")
    return token


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the tokens of a text; an end mark inside it is spelled out like any other text.

    Raises:
        InvalidValue: The text holds half a surrogate pair, which is no character and has no bytes.
    """
    try:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidValue("Half a surrogate pair is not text; repair it before it is encoded.") from error
