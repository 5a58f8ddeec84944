"""The tokenizer gives back what it was given."""

from hypothesis import given
from hypothesis import strategies as st

from local_samples import ROWS
from stepdown.local.tokens import END, encode, tokenizer_files, train_tokenizer

TEXTS = [str(row[key]) for row in ROWS for key in ("prompt", "completion")]
TOKENIZER = train_tokenizer(TEXTS, 512)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_unchanged(text: str) -> None:
    assert TOKENIZER.decode(encode(TOKENIZER, text), skip_special_tokens=False) == text


def test_the_same_texts_give_the_same_tokenizer() -> None:
    assert tokenizer_files(train_tokenizer(TEXTS, 512), 64) == tokenizer_files(TOKENIZER, 64)


def test_an_end_mark_inside_a_text_is_only_text() -> None:
    assert TOKENIZER.token_to_id(END) not in encode(TOKENIZER, f"a{END}b")


def test_digits_stay_single_and_the_text_between_them_is_one_token() -> None:
    pieces = [TOKENIZER.id_to_token(token) for token in encode(TOKENIZER, '{"aggression":0.98,"defense":0.4')]

    assert pieces == ['{"aggression":', "0", ".", "9", "8", ',"defense":', "0", ".", "4"]


def test_the_vocabulary_stays_within_its_bound() -> None:
    assert train_tokenizer(TEXTS, 300).get_vocab_size() <= 300
    assert train_tokenizer([], 260).get_vocab_size() == 257
