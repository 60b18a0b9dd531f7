"""Settings of rules, and the words that they find."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inference.captioning import Tag
from stream.rules.matching import Matcher, Observation, WordStems
from stream.rules.rule import MESSAGE_FIELDS, Rule
from stream.rules.schedule import DAYS, Schedule


@pytest.fixture(scope="module")
def stems() -> Iterator[WordStems]:
    stems = WordStems()
    yield stems
    stems.close()


def observed(text: str, confidence: float | None = 0.6, **tags: float) -> Observation:
    found = tuple(Tag(name.replace("_", " "), prob) for name, prob in tags.items())
    return Observation("yard", 1.7e9, text, text, confidence, found)


@pytest.mark.parametrize(
    ("rule", "text", "holds"),
    [
        ({"any": ["dog"]}, "Two dogs in the snow", True),
        ({"any": ["running"]}, "A dog runs", True),
        ({"any": ["run"]}, "A dog is running", True),
        ({"any": ["person"]}, "People on a bridge", True),
        ({"any": ["men"]}, "A man on a bridge", True),
        ({"any": ["car"]}, "A woman takes care of a child", False),
        ({"any": ["red car"]}, "Red cars on a road", True),
        ({"any": ["red car"]}, "A car on a red road", False),
        ({"any": ["Café"]}, "a cafe at night", True),
        ({"any": ["cat", "dog"]}, "A dog runs", True),
        ({"all": ["cat", "dog"]}, "A dog runs", False),
        ({"all": ["cat", "dog"]}, "A dog and two cats", True),
        ({"any": ["dog"], "none": ["leash"]}, "A dog on a leash", False),
        ({"none": ["person", "man"]}, "An empty street", True),
        ({"none": ["person", "man"]}, "Two men", False),
        ({"none": ["person"]}, "", True),
    ],
)
def test_words_are_found_in_any_form(
    stems: WordStems, rule: dict[str, Any], text: str, holds: bool
) -> None:
    assert Matcher(Rule(**rule), stems).match(observed(text)).holds is holds


@pytest.mark.parametrize(
    ("settings", "holds"),
    [
        ({}, True),
        ({"look_in": "caption"}, False),
        ({"look_in": "objects"}, True),
        ({"confidence": 0.8}, True),
        ({"confidence": 0.9}, False),
    ],
)
def test_objects_count_with_their_own_confidence(
    stems: WordStems, settings: dict[str, Any], holds: bool
) -> None:
    rule = Rule(any=("fire engine",), **settings)
    match = Matcher(rule, stems).match(observed("A street", 0.95, fire_engine=0.85))

    assert match.holds is holds
    assert match.words == (("fire engine",) if holds else ())


@pytest.mark.parametrize(("confidence", "holds"), [(None, False), (0.49, False), (0.5, True)])
def test_a_caption_counts_with_its_confidence(
    stems: WordStems, confidence: float | None, holds: bool
) -> None:
    rule = Rule(any=("dog",), confidence=0.5)

    assert Matcher(rule, stems).match(observed("A dog", confidence)).holds is holds


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "set any, all or none"),
        ({"any": ["!?"]}, "write words with letters or digits"),
        ({"any": ["a\nb"]}, "write words with letters or digits"),
        ({"any": ["dog"], "message": "{name}"}, "fields: {rule}, {feed}, {caption}, {words}"),
        ({"any": ["dog"], "message": "{feed.__class__}"}, "there is no field"),
        ({"any": ["dog"], "message": "{caption!r}"}, "there is no field"),
        ({"any": ["dog"], "message": "{caption:>9999999}"}, "there is no field"),
        ({"any": ["dog"], "message": "{}"}, "there is no field"),
        ({"any": ["dog"], "message": "{caption"}, "braces only around fields"),
        ({"any": ["dog"], "hours": "8-18"}, "write hours as 08:00-18:00"),
        ({"any": ["dog"], "hours": "08:00-08:00"}, "leave them out for the whole day"),
        ({"any": ["dog"], "days": ["monday"]}, "'mon'"),
        ({"any": ["dog"], "feeds": ["The Yard"]}, "is not a valid name"),
        ({"any": ["dog"], "confidence": 1.5}, "less than or equal to 1"),
    ],
)
def test_wrong_settings_are_rejected_with_what_to_write(
    settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Rule.model_validate(settings)
    assert reason in caught.value.errors()[0]["msg"]


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_is_a_message_without_code_or_an_error(template: str, caption: str) -> None:
    values = {**dict.fromkeys(MESSAGE_FIELDS, ""), "caption": caption}
    try:
        rule = Rule(any=("dog",), message=template)
    except ValidationError:
        return
    assert len(rule.message_of(values)) <= 1000
    if "{" not in template and "}" not in template:
        assert rule.message_of(values) == template


def test_a_message_is_filled_in_once() -> None:
    rule = Rule(any=("dog",), message="{{{rule}}} {caption}")
    values = {**dict.fromkeys(MESSAGE_FIELDS, ""), "rule": "x", "caption": "{feed}"}

    assert rule.message_of(values) == "{x} {feed}"


@given(
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.lists(st.sampled_from(DAYS)),
    st.integers(0, 7 * 24 * 60 - 1),
)
def test_a_window_contains_its_minutes(begin: int, end: int, days: list[Any], minute: int) -> None:
    if begin == end:
        return
    text = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    schedule = Schedule.parse(text, days)
    # 2 March 2026 is a Monday in a week without a change of the clock.
    time = datetime(2026, 3, 2).timestamp() + 60 * minute
    chosen = {DAYS.index(day) for day in days} or set(range(7))
    length = (end - begin) % 1440 or 1440
    expected = any((minute - 1440 * day - begin) % (7 * 1440) < length for day in chosen)

    assert schedule.includes(time) is expected
