"""A judge says how much of an answer is right, and never raises at an answer, whatever it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown.errors import InvalidValue
from stepdown.scenarios.judges import judge, same

FIELDS = {
    "kind": "fields",
    "fields": {"name": "text", "total": {"compare": "number", "tolerance": 0.005}, "day": {"compare": "date"}},
}
EXPECTED = {"name": "Ada Lovelace", "total": 0.3, "day": "2025-03-04"}
JUDGES = [{"kind": "exact"}, {"kind": "choice"}, {"kind": "regex", "pattern": "([a-z]+) ?"}, FIELDS]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (EXPECTED, {"name": 1, "total": 1, "day": 1}),
        (
            {"name": " ada  LOVELACE", "total": 0.1 + 0.2, "day": "2025-03-04T10:00:00"},
            {"name": 1, "total": 1, "day": 1},
        ),
        ({"name": "Ada", "total": "0.305", "day": "2025-04-03"}, {"name": 0, "total": 1, "day": 0}),
        ({"total": 0.3051}, {"name": 0, "total": 0, "day": 0}),
        ({"name": "Ada Lovelace", "total": True, "day": 20250304}, {"name": 1, "total": 0, "day": 0}),
        ([], {"name": 0, "total": 0, "day": 0}),
        (None, {"name": 0, "total": 0, "day": 0}),
    ],
)
def test_fields_are_right_each_by_its_own_comparison(answer: Any, right: dict[str, float]) -> None:
    assert judge(FIELDS)(answer, EXPECTED) == right


@pytest.mark.parametrize(
    ("settings", "answer", "expected", "score"),
    [
        ({"kind": "exact"}, {"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}, 1),
        ({"kind": "exact"}, True, 1, 0),
        ({"kind": "exact"}, "Spam", "spam", 0),
        ({"kind": "choice"}, " Spam", "spam", 1),
        ({"kind": "choice"}, "ham", "spam", 0),
        ({"kind": "regex", "pattern": r"[A-Z]{2}-\d+"}, "AB-12", None, 1),
        ({"kind": "regex", "pattern": r"[A-Z]{2}-\d+"}, "AB-12 ", None, 0),
        ({"kind": "regex", "pattern": r"No\. (\d+)"}, "No. 12", "12", 1),
        ({"kind": "regex", "pattern": r"No\. (\d+)"}, "No. 12", "13", 0),
        ({"kind": "regex", "pattern": "a"}, 1, None, 0),
    ],
)
def test_one_value_is_right_or_wrong(settings: dict[str, Any], answer: Any, expected: Any, score: float) -> None:
    assert list(judge(settings)(answer, expected).values()) == [score]


@pytest.mark.parametrize("settings", JUDGES, ids=lambda settings: settings["kind"])
@given(answer=values, expected=values)
def test_no_answer_breaks_a_judge(settings: dict[str, Any], answer: Any, expected: Any) -> None:
    assert all(part in (0.0, 1.0) for part in judge(settings)(answer, expected).values())


@given(values)
def test_a_value_is_the_same_as_itself_unless_it_holds_what_is_not_a_number(value: Any) -> None:
    assert same(value, value) or "nan" in repr(value)


@pytest.mark.parametrize("number", ["1e999999", "-1e-999999", "Infinity", "NaN", "1_000", "٣"])
def test_a_number_in_no_common_form_is_compared_at_once(number: str) -> None:
    judge(FIELDS)({"total": number}, EXPECTED)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": "best"},
        {"kind": ["exact"]},
        {"kind": "exact", "tolerance": 1},
        {"kind": "regex"},
        {"kind": "regex", "pattern": "("},
        {"kind": "fields"},
        {"kind": "fields", "fields": {}},
        {"kind": "fields", "fields": {"a": "colour"}},
        {"kind": "fields", "fields": {"a": {"compare": "text", "tolerance": 1}}},
        {"kind": "fields", "fields": {"a": {"compare": "number", "tolerance": -1}}},
        {"kind": "fields", "fields": {"a": {"compare": "number", "tolerance": True}}},
    ],
    ids=repr,
)
def test_settings_of_no_judge_are_refused_in_a_sentence(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match=r"^judge: .*\.$"):
        judge(settings)
