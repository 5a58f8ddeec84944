"""A pattern that somebody wrote, against a text that somebody else did: found as ever, and never sought without end."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stepdown.errors import InvalidValue
from stepdown.scenarios import patterns
from stepdown.scenarios.judges import judge
from stepdown.scenarios.schemas import UNDECIDED, check_parts, mismatch, validator

ENDLESS = r"^(a|aa|a)+$"
TEXT = "a" * 40 + "!"

words = st.text("ab1 \n-", max_size=8)
expressions = st.recursive(
    st.sampled_from(["a", "b", ".", r"\d", r"\s", "[^a]", "[ab]", "^", "$", r"\b"]),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("({})?".format, inner),
        st.builds("(?:{}){{1,2}}".format, inner),
    ),
    max_leaves=6,
)


@given(expressions, words, st.booleans())
def test_what_is_found_is_what_python_finds(written: str, text: str, dot_is_all: bool) -> None:
    ours, its = patterns.compiled(written, dot_is_all=dot_is_all), re.compile(written, re.DOTALL if dot_is_all else 0)

    for find in ("search", "fullmatch"):
        found, due = getattr(ours, find)(text), getattr(its, find)(text)
        assert (found and (found.span(), found.groups())) == (due and (due.span(), due.groups()))


schemas = st.fixed_dictionaries(
    {},
    optional={
        "pattern": expressions,
        "patternProperties": st.dictionaries(
            expressions, st.sampled_from([True, False, {"type": "integer"}]), max_size=2
        ),
        "additionalProperties": st.sampled_from([True, False, {"type": "integer"}, {"pattern": "a"}]),
        "properties": st.dictionaries(words, st.sampled_from([True, False, {"type": "string"}]), max_size=2),
    },
)
values = st.one_of(words, st.integers(), st.dictionaries(words, st.one_of(words, st.integers()), max_size=3))


@given(schemas, values)
def test_a_value_fits_a_schema_as_it_does_in_the_library(schema: dict[str, Any], value: Any) -> None:
    assert validator(schema).is_valid(value) == Draft202012Validator(schema).is_valid(value)


def test_a_judge_whose_pattern_cannot_be_decided_finds_the_answer_wrong() -> None:
    assert judge({"kind": "regex", "pattern": ENDLESS})(TEXT, None) == {"regex": 0.0}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": ENDLESS}, TEXT),
        ({"patternProperties": {ENDLESS: True}}, {TEXT: 1}),
        ({"patternProperties": {ENDLESS: True}, "additionalProperties": False}, {TEXT: 1}),
        ({"properties": {"a": {"items": {"pattern": ENDLESS}}}}, {"a": [TEXT]}),
    ],
)
def test_a_reply_that_no_pattern_can_be_held_against_in_time_is_illegal(schema: dict[str, Any], value: Any) -> None:
    assert mismatch(validator(schema), value) == UNDECIDED


@pytest.mark.parametrize("place", [{"pattern": "("}, {"patternProperties": {"(": {}}}, {"items": {"pattern": "("}}])
def test_a_pattern_that_is_none_is_refused_where_it_is_read(place: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match=r"answer.json: the pattern '\(' is no regular expression"):
        check_parts(place, "answer.json")


def test_what_only_looks_like_a_pattern_is_data() -> None:
    check_parts({"enum": [{"pattern": "("}], "properties": {"pattern": {"type": "string"}}}, "answer.json")


def test_this_pattern_would_never_end() -> None:
    with pytest.raises(patterns.UndecidedError):
        patterns.compiled(ENDLESS).search(TEXT)
