"""The dataset as the training child sees it: lines in, tokens and batches out."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from stepdown.errors import DatasetError
from stepdown.local.tokens import encode, end_token

_LONGEST_CUE = 24  # Tokens before a rehearsed completion.
_EVENED = 8  # Batches whose records are put together by their length.


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a dataset.

    Attributes:
        where: Where it stands, for messages: ``train.jsonl line 3``.
        prompt: What the net is shown.
        completion: What it shall answer.
    """

    where: str
    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One record in tokens.

    Attributes:
        tokens: Prompt, completion, end mark.
        start: Index of the completion's first token; everything before is read and never learned.
    """

    tokens: list[int]
    start: int


def read_records(path: Path) -> list[Record]:
    """Read one JSON-lines file; keys other than ``prompt`` and ``completion`` are ignored.

    Raises:
        DatasetError: The file is missing or a line is not such an object.
    """
    return parse_records(path.name, read_file(path))


def read_file(path: Path) -> bytes:
    """Read one file of a dataset.

    Raises:
        DatasetError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read ({error.strerror}); export the dataset again.") from error


def parse_records(name: str, data: bytes) -> list[Record]:
    """Return the records in the bytes of a file.

    Raises:
        DatasetError: A line is none.
    """
    try:
        # Not splitlines(): JSON may hold a line separator (U+2028) as it is.
        lines = data.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{name} is not UTF-8; export the dataset again.") from error
    if lines == [""]:
        return []
    return [_parse(f"{name} line {number}", line) for number, line in enumerate(lines, start=1)]


def _parse(where: str, line: str) -> Record:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"{where} is not JSON; export the dataset again.") from error
    prompt, completion = (row.get("prompt"), row.get("completion")) if isinstance(row, dict) else (None, None)
    if not (isinstance(prompt, str) and isinstance(completion, str) and prompt and completion):
        raise DatasetError(f"{where} needs a prompt and a completion, both text and not empty.")
    if any("\ud800" <= character <= "\udfff" for character in prompt + completion):
        raise DatasetError(f"{where} holds half a surrogate pair, which is no character; export the dataset again.")
    return Record(where, prompt, completion)


def token_records(records: Sequence[Record], tokenizer: Tokenizer, window: int) -> list[TokenRecord]:
    """Turn records into tokens, whole.

    Raises:
        DatasetError: A record is longer than the window. It is never cut: a net trained on the end of prompts would be
            served whole ones.
    """
    end = end_token(tokenizer)
    tokenized = []
    for record in records:
        prompt, completion = encode(tokenizer, record.prompt), encode(tokenizer, record.completion)
        length = len(prompt) + len(completion) + 1
        if length > window:
            raise DatasetError(f"{record.where} has {length} tokens and the window holds {window}; widen the plan's.")
        tokenized.append(TokenRecord([*prompt, *completion, end], len(prompt)))
    return tokenized


def draws(items: Sequence[TokenRecord], size: int, order: random.Random) -> Iterator[list[TokenRecord]]:
    """Yield batches of exactly ``size`` for ever, every record once per round, each round in a new order."""
    batch: list[TokenRecord] = []
    while True:
        for record in order.sample(items, len(items)):
            batch.append(record)
            if len(batch) == size:
                yield batch
                batch = []


def even_draws(items: Sequence[TokenRecord], size: int, order: random.Random) -> Iterator[list[TokenRecord]]:
    """Yield what `draws` does, with records of like length in one batch: what the shorter are filled up with costs as they do.

    Which records come soon is drawn as ever, and so is the order of the batches that are made of them.
    """
    together = max(1, min(_EVENED, len(items) // size))
    for drawn in draws(items, size * together, order):
        drawn.sort(key=lambda record: len(record.tokens))
        batches = [drawn[first : first + size] for first in range(0, len(drawn), size)]
        order.shuffle(batches)
        yield from batches


def disturb(record: TokenRecord, share: float, vocab: int, noise: random.Random) -> TokenRecord:
    """Replace up to a share of the prompt's tokens by random ones, and sometimes its beginning by more of them.

    The completion stays as it is. What is replaced changes in length too, as a playbook does when it is rewritten.
    """
    rate = noise.uniform(0.0, share)
    prompt = [noise.randrange(vocab) if noise.random() < rate else token for token in record.tokens[: record.start]]
    if noise.random() < share / 3:
        prompt = _noise(noise.randrange(record.start), vocab, noise) + prompt[noise.randrange(record.start) :]
    return TokenRecord([*prompt, *record.tokens[record.start :]], len(prompt))


def rehearse(record: TokenRecord, vocab: int, noise: random.Random) -> TokenRecord:
    """Replace the whole prompt by a short stretch of random tokens: a cheap way to learn what a completion looks like."""
    prompt = _noise(noise.randint(1, _LONGEST_CUE), vocab, noise)
    return TokenRecord([*prompt, *record.tokens[record.start :]], len(prompt))


def _noise(length: int, vocab: int, noise: random.Random) -> list[int]:
    """Draw from a few tokens only: words come back in a text, and foreign ones fall apart into a few bytes."""
    few = [noise.randrange(vocab) for _ in range(noise.randint(1, length + 1))]
    return noise.choices(few, k=length)
