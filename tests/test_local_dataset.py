"""Noise touches prompts only, and every record gets its turn."""

import random
from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from stepdown.local.dataset import TokenRecord, disturb, draws, even_draws, rehearse

VOCAB = 300
TOKENS = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=60)
LESSONS = st.builds(lambda prompt, completion: TokenRecord(prompt + completion, len(prompt)), TOKENS, TOKENS)


@given(LESSONS, st.floats(0, 1), st.integers(0, 1000))
def test_noise_leaves_the_completion_whole_and_never_an_empty_prompt(
    lesson: TokenRecord, share: float, seed: int
) -> None:
    for noisy in (
        disturb(lesson, share, VOCAB, random.Random(seed)),
        rehearse(lesson, VOCAB, random.Random(seed)),
    ):
        assert noisy.tokens[noisy.start :] == lesson.tokens[lesson.start :]
        assert noisy.start >= 1
        assert all(0 <= token < VOCAB for token in noisy.tokens)


@given(LESSONS, st.integers(0, 1000))
def test_no_noise_changes_nothing(lesson: TokenRecord, seed: int) -> None:
    assert disturb(lesson, 0.0, VOCAB, random.Random(seed)) == lesson


@given(st.integers(1, 9), st.integers(1, 20))
def test_every_record_is_drawn_once_a_round_whatever_the_batch(records: int, size: int) -> None:
    lessons = [TokenRecord([n, n], 1) for n in range(records)]

    drawn = [lesson for batch in islice(draws(lessons, size, random.Random(1)), records) for lesson in batch]

    assert len(drawn) == records * size
    for first in range(0, len(drawn), records):
        assert sorted(lesson.tokens[0] for lesson in drawn[first : first + records]) == list(range(records))


@given(st.integers(1, 70), st.integers(1, 9), st.integers(0, 1000))
def test_records_of_like_length_are_drawn_together_and_each_as_often_as_ever(
    records: int, size: int, seed: int
) -> None:
    lessons = [TokenRecord([n] * random.Random(n).randint(2, 40), 1) for n in range(records)]
    count = 840  # Batches: a whole number of whatever is put together.

    plain, evened = ([*islice(draw(lessons, size, random.Random(seed)), count)] for draw in (draws, even_draws))

    assert all(len(batch) == size for batch in evened)
    times = Counter(lesson.tokens[0] for batch in evened for lesson in batch)
    assert max(times.values()) - min(times.values()) <= 1
    filling = [sum(max(len(lesson.tokens) for lesson in batch) * size for batch in drawn) for drawn in (plain, evened)]
    assert filling[1] <= filling[0] * 1.02


def test_the_batches_of_one_seed_are_the_same_and_come_in_no_order_of_length() -> None:
    lessons = [TokenRecord([n] * (n + 2), 1) for n in range(64)]

    one, again = ([*islice(even_draws(lessons, 4, random.Random(5)), 32)] for _ in range(2))

    assert one == again
    longest = [max(len(lesson.tokens) for lesson in batch) for batch in one]
    assert longest != sorted(longest)
