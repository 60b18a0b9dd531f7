"""Tests of the validation of clients' messages, by example and by fuzzing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine.service import read_params
from stream.data_channel.messages import MessageError, parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def analyze(kind: str, **params: object) -> str:
    """Return an `analyze` message."""
    return json.dumps({"type": "analyze", "id": 1, "seq": 2, "kind": kind, "params": params})


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ping", "id": 0},
        {"type": "configure"},
        {"type": "configure", "interval_s": 0.25},
        {"type": "configure", "interval_s": 10, "beam_width": 5},
        {"type": "configure", "overlay": "saliency", "explanations": "all"},
        {"type": "freeze", "seq": 0},
        {"type": "release"},
        {"type": "cancel", "id": 2**53 - 1},
        {"type": "check", "id": 1, "seq": 2, "method": "gradcam", "index": 99},
        {"type": "explain", "id": 1, "seq": 2, "method": "rise", "of": {"kind": "caption"}},
        {
            "type": "explain",
            "id": 1,
            "seq": 2,
            "method": "gradcam",
            "of": {"kind": "contrast", "index": 3, "text": "dog"},
        },
        json.loads(analyze("adversarial")),
        json.loads(analyze("adversarial", norm="l2", say="dog", lose="x" * 40)),
        json.loads(analyze("ace")),
        json.loads(analyze("ace", scope="frames", word="dog")),
    ],
)
def test_valid_messages_are_accepted(message: dict[str, Any]) -> None:
    assert parse(json.dumps(message)) == message


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("", "bad-json", "one JSON object"),
        ("[]", "bad-json", "one JSON object"),
        ("[" * 100_000, "bad-json", "one JSON object"),
        (b"\xff\xfe", "bad-json", "one JSON object"),
        ("{}", "unknown-type", "configure, freeze, .*, ping"),
        ('{"type": ["ping"]}', "unknown-type", "configure, freeze, .*, ping"),
        ('{"type": "analyse"}', "unknown-type", "configure, freeze, .*, ping"),
        ('{"type": "ping"}', "bad-message", "ping: requires type, id"),
        ('{"type": "ping", "id": -1}', "bad-message", "id: must be at least 0"),
        ('{"type": "ping", "id": true}', "bad-message", "id: must be of type"),
        (
            '{"type": "configure", "interval_s": 0.1}',
            "bad-message",
            "interval_s: must be at least 0.25",
        ),
        ('{"type": "configure", "interval_s": NaN}', "bad-json", "NaN is not valid JSON"),
        (
            '{"type": "configure", "beam_width": 2.5}',
            "bad-message",
            "beam_width: must be of type integer",
        ),
        ('{"type": "configure", "colour": 1}', "bad-message", "allows only"),
        (
            '{"type": "configure", "overlay": "rise"}',
            "bad-message",
            "overlay: must be one of none, words",
        ),
        ('{"type": "freeze"}', "bad-message", "freeze: requires type, seq"),
        ('{"type": "freeze", "seq": -1}', "bad-message", "seq: must be at least 0"),
        ('{"type": "cancel", "id": 9007199254740992}', "bad-message", "id: must be at most"),
        ('{"type": "explain", "id": 1}', "bad-message", "explain: requires type, id, seq"),
        (
            '{"type": "explain", "id": 1, "seq": 0, "method": "rise", "of": {"kind": "song"}}',
            "bad-message",
            "of.kind: must be one of",
        ),
        (
            '{"type": "check", "id": 1, "seq": 0, "method": "rise", "index": 100}',
            "bad-message",
            "index: must be at most 99",
        ),
        ('{"type": "analyze", "id": 1}', "bad-message", "analyze: requires type, id, seq, kind"),
        (analyze("gradcam"), "bad-message", "kind: must be one of"),
        (analyze("ace", norm="l2"), "bad-message", "params: allows only scope, word"),
        (analyze("adversarial", word="dog"), "bad-message", "params: allows only norm, say, lose"),
        (analyze("adversarial", norm="l1"), "bad-message", "params.norm: must be one of linf, l2"),
        (
            analyze("adversarial", say="x" * 41),
            "bad-message",
            "params.say: must have at most 40 characters",
        ),
        (analyze("ace", scope="web"), "bad-message", "params.scope: must be one of bank, frames"),
        (analyze("ace", word=["dog"]), "bad-message", "params.word: must be of type string"),
    ],
)
def test_invalid_messages_are_rejected_with_a_reason(
    text: str | bytes, code: str, reason: str
) -> None:
    with pytest.raises(MessageError, match=reason) as error:
        parse(text)
    assert error.value.code == code


KINDS = ("configure", "freeze", "release", "explain", "check", "analyze", "cancel", "ping")
TARGETS = ("word", "contrast", "caption", "tag")
NUMBERS = st.integers(-1, 2**54) | st.booleans() | st.none()


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_any_input_is_accepted_or_rejected(text: str | bytes) -> None:
    try:
        message = parse(text)
    except MessageError:
        return
    assert message["type"] in KINDS


@given(st.sampled_from(KINDS), st.dictionaries(st.text(max_size=9), json_values))
def test_any_content_of_a_known_type_is_accepted_or_rejected(
    kind: str, fields: dict[str, Any]
) -> None:
    try:
        message = parse(json.dumps({**fields, "type": kind}))
    except MessageError:
        return
    assert 0.25 <= message.get("interval_s", 1) <= 10


requests = st.fixed_dictionaries(
    {"type": st.sampled_from(("explain", "check", "freeze", "cancel"))},
    optional={
        "id": NUMBERS,
        "seq": NUMBERS,
        "index": NUMBERS,
        "method": st.text(max_size=60) | json_values,
        "of": st.fixed_dictionaries(
            {"kind": st.sampled_from(TARGETS) | json_values},
            optional={"index": NUMBERS, "text": st.text(max_size=90), "more": json_values},
        )
        | json_values,
    },
)


@given(requests)
def test_all_parts_of_an_accepted_request_are_within_their_limits(
    request: dict[str, Any],
) -> None:
    try:
        message = parse(json.dumps(request))
    except MessageError:
        return
    for name, most in (("id", 2**53 - 1), ("seq", 2**54), ("index", 99)):
        number = message.get(name, 0)
        assert type(number) is int and 0 <= number <= most
    assert len(message.get("method", "")) <= 40
    target = message.get("of", {"kind": "word"})
    assert target["kind"] in TARGETS
    assert set(target) <= {"kind", "index", "text"}
    assert len(target.get("text", "")) <= 60


@pytest.mark.parametrize(
    ("request_id", "reported"),
    [(7, 7), (0, 0), (-1, None), (2**53, None), (True, None), ("7", None)],
)
def test_an_error_has_the_id_of_the_message_if_it_is_valid(
    request_id: object, reported: int | None
) -> None:
    with pytest.raises(MessageError) as error:
        parse(json.dumps({"type": "explain", "id": request_id}))

    assert error.value.request_id == reported


analyses = st.fixed_dictionaries(
    {
        "type": st.just("analyze"),
        "id": st.integers(0, 9) | json_values,
        "seq": st.integers(0, 9) | json_values,
        "kind": st.sampled_from(("adversarial", "ace")) | json_values,
        "params": st.fixed_dictionaries(
            {},
            optional={
                "norm": st.sampled_from(("linf", "l2")) | json_values,
                "scope": st.sampled_from(("bank", "frames")) | json_values,
                "say": st.text(max_size=50),
                "word": st.text(max_size=50) | json_values,
                "steps": json_values,
            },
        )
        | json_values,
    }
)


@given(analyses)
def test_params_of_an_accepted_analysis_belong_to_its_kind(
    request: dict[str, Any],
) -> None:
    try:
        message = parse(json.dumps(request))
    except MessageError as error:
        assert error.code in ("bad-message", "bad-json")
        return
    params = message["params"]
    known = {"adversarial": {"norm", "say", "lose"}, "ace": {"scope", "word"}}
    assert set(params) <= known[message["kind"]]
    assert all(isinstance(value, str) and len(value) <= 40 for value in params.values())
    # The params' model accepts them, or rejects one with a reason.
    try:
        read_params(message["kind"], params)
    except ValueError as error:
        assert str(error).partition(":")[0] in params
