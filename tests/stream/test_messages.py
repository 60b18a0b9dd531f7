import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.messages import MessageError, parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ping", "id": 0},
        {"type": "configure"},
        {"type": "configure", "interval_s": 0.25},
        {"type": "configure", "interval_s": 10, "beam_width": 5},
    ],
)
def test_takes_what_the_schema_describes(message: dict[str, Any]) -> None:
    assert parse(json.dumps(message)) == message


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", "bad-json", "one JSON object"),
        ("[]", "bad-json", "one JSON object"),
        ("[" * 100_000, "bad-json", "one JSON object"),
        (b"\xff\xfe", "bad-json", "one JSON object"),
        ("{}", "unknown-type", "configure, ping"),
        ('{"type": ["ping"]}', "unknown-type", "configure, ping"),
        ('{"type": "analyze"}', "unknown-type", "configure, ping"),
        ('{"type": "ping"}', "bad-message", "ping: needs type, id"),
        ('{"type": "ping", "id": -1}', "bad-message", "id: must meet minimum 0"),
        ('{"type": "ping", "id": true}', "bad-message", "id: must meet type"),
        (
            '{"type": "configure", "interval_s": 0.1}',
            "bad-message",
            "interval_s: must meet minimum",
        ),
        ('{"type": "configure", "interval_s": NaN}', "bad-json", "NaN is no JSON"),
        ('{"type": "configure", "beam_width": 2.5}', "bad-message", "beam_width: must meet type"),
        ('{"type": "configure", "colour": 1}', "bad-message", "takes only"),
    ],
)
def test_says_what_is_wrong(text: str | bytes, code: str, told: str) -> None:
    with pytest.raises(MessageError, match=told) as caught:
        parse(text)
    assert caught.value.code == code


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_whatever_comes_is_taken_or_refused(text: str | bytes) -> None:
    try:
        message = parse(text)
    except MessageError:
        return
    assert message["type"] in ("ping", "configure")


@given(st.sampled_from(["ping", "configure"]), st.dictionaries(st.text(max_size=9), json_values))
def test_whatever_a_known_type_carries_is_taken_or_refused(
    kind: str, fields: dict[str, Any]
) -> None:
    try:
        message = parse(json.dumps({**fields, "type": kind}))
    except MessageError:
        return
    assert 0.25 <= message.get("interval_s", 1) <= 10
