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
    """A request for an analysis."""
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
def test_takes_what_the_schema_describes(message: dict[str, Any]) -> None:
    assert parse(json.dumps(message)) == message


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", "bad-json", "one JSON object"),
        ("[]", "bad-json", "one JSON object"),
        ("[" * 100_000, "bad-json", "one JSON object"),
        (b"\xff\xfe", "bad-json", "one JSON object"),
        ("{}", "unknown-type", "configure, freeze, .*, ping"),
        ('{"type": ["ping"]}', "unknown-type", "configure, freeze, .*, ping"),
        ('{"type": "analyse"}', "unknown-type", "configure, freeze, .*, ping"),
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
        ('{"type": "configure", "overlay": "rise"}', "bad-message", "overlay: must meet enum"),
        ('{"type": "freeze"}', "bad-message", "freeze: needs type, seq"),
        ('{"type": "freeze", "seq": -1}', "bad-message", "seq: must meet minimum"),
        ('{"type": "cancel", "id": 9007199254740992}', "bad-message", "id: must meet maximum"),
        ('{"type": "explain", "id": 1}', "bad-message", "explain: needs type, id, seq"),
        (
            '{"type": "explain", "id": 1, "seq": 0, "method": "rise", "of": {"kind": "song"}}',
            "bad-message",
            "of.kind: must meet enum",
        ),
        (
            '{"type": "check", "id": 1, "seq": 0, "method": "rise", "index": 100}',
            "bad-message",
            "index: must meet maximum",
        ),
        ('{"type": "analyze", "id": 1}', "bad-message", "analyze: needs type, id, seq, kind"),
        (analyze("gradcam"), "bad-message", "kind: must meet enum"),
        (analyze("ace", norm="l2"), "bad-message", "params: takes only scope, word"),
        (analyze("adversarial", word="dog"), "bad-message", "params: takes only norm, say, lose"),
        (analyze("adversarial", norm="l1"), "bad-message", "params.norm: must meet enum"),
        (analyze("adversarial", say="x" * 41), "bad-message", "params.say: must meet maxLength"),
        (analyze("ace", scope="web"), "bad-message", "params.scope: must meet enum"),
        (analyze("ace", word=["dog"]), "bad-message", "params.word: must meet type"),
    ],
)
def test_says_what_is_wrong(text: str | bytes, code: str, told: str) -> None:
    with pytest.raises(MessageError, match=told) as caught:
        parse(text)
    assert caught.value.code == code


KINDS = ("configure", "freeze", "release", "explain", "check", "analyze", "cancel", "ping")
TARGETS = ("word", "contrast", "caption", "tag")
NUMBERS = st.integers(-1, 2**54) | st.booleans() | st.none()


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_whatever_comes_is_taken_or_refused(text: str | bytes) -> None:
    try:
        message = parse(text)
    except MessageError:
        return
    assert message["type"] in KINDS


@given(st.sampled_from(KINDS), st.dictionaries(st.text(max_size=9), json_values))
def test_whatever_a_known_type_carries_is_taken_or_refused(
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
def test_of_a_request_that_is_taken_every_part_is_within_its_bounds(
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
    ("asked", "told"), [(7, 7), (0, 0), (-1, None), (2**53, None), (True, None), ("7", None)]
)
def test_what_is_wrong_is_told_under_the_id_that_the_message_has(
    asked: object, told: int | None
) -> None:
    with pytest.raises(MessageError) as caught:
        parse(json.dumps({"type": "explain", "id": asked}))

    assert caught.value.asked == told


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
def test_what_is_asked_of_an_analysis_is_closed_and_of_its_own_kind(
    request: dict[str, Any],
) -> None:
    try:
        message = parse(json.dumps(request))
    except MessageError as problem:
        assert problem.code in ("bad-message", "bad-json")
        return
    params = message["params"]
    known = {"adversarial": {"norm", "say", "lose"}, "ace": {"scope", "word"}}
    assert set(params) <= known[message["kind"]]
    assert all(isinstance(value, str) and len(value) <= 40 for value in params.values())
    # The models behind take it, or refuse it with a reason.
    try:
        read_params(message["kind"], params)
    except ValueError as problem:
        assert str(problem).partition(":")[0] in params
