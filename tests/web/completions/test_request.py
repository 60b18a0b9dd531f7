"""The request body of a chat completion."""

import base64
import json
from typing import Any

import pytest

from web.completions.request import CompletionRequest, RequestError, request_schemas

IMAGE = b"any bytes"
URL = f"data:image/png;base64,{base64.b64encode(IMAGE).decode()}"


def part(url: str = URL) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def message(*parts: object, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


def parse(*messages: object, **parameters: Any) -> CompletionRequest:
    body = {"model": "sightline", "messages": messages or (message(part()),), **parameters}
    return CompletionRequest.parse(json.dumps(body).encode())


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    "url",
    [
        URL,
        URL.replace("data:image/png", "DATA:"),
        URL.replace("png", "png;charset=x"),
        URL.replace("base64", "Base64"),
    ],
)
def test_the_image_of_a_data_url_is_decoded(url: str) -> None:
    assert parse(message(text("what is this?"), part(url))).image() == IMAGE


def test_a_large_image_is_decoded_whole() -> None:
    image = bytes(range(256)) * 9001
    url = f"data:;base64,{base64.b64encode(image).decode()}"

    assert parse(message(part(url))).image() == image


def test_the_image_of_the_newest_turn_counts() -> None:
    other = f"data:;base64,{base64.b64encode(b'another').decode()}"
    answer = {"role": "assistant", "content": "A cup"}

    assert parse(message(part(other)), answer, message(part())).image() == IMAGE
    asked_after = {"role": "user", "content": "describe it"}
    assert parse({"role": "system", "content": "x"}, message(part()), asked_after).image() == IMAGE


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "user", "content": "hello"}], "the newest message has no image"),
        ([message(part()), {"role": "assistant", "content": None}], "has no image"),
        (
            [message(part()), {"role": "assistant"}, {"role": "user", "content": "which colour?"}],
            "Sightline captions images and answers no text",
        ),
        ([message(part(), part())], "there are 2 images; send one"),
        ([message(part()), message(part())], "there are 2 images; send one"),
        ([message(part("https://example.org/cat.jpg"))], "fetches no addresses that a client"),
        ([message(part("file:///etc/passwd"))], "fetches no addresses that a client names"),
        ([message(part("/etc/passwd"))], "as a data: URL such as"),
        ([message(part("data:image/png;base64"))], "as a data: URL such as"),
        ([message(part("data:image/png,%89PNG"))], "must be in base64"),
        ([message(part("data:image/png;base64,a%3D"))], "not valid base64"),
        ([message(part("data:image/png;base64,YQ"))], "not valid base64"),
        ([message(part("data:image/png;base64,YQ==YQ=="))], "not valid base64"),
        ([message(part("data:image/png;base64,Y\nQ=="))], "base64 -w0"),
        ([message(part("data:image/png;base64,é==="))], "not valid base64"),
    ],
)
def test_a_request_without_one_image_in_it_is_rejected(messages: list[Any], reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as rejected:
        parse(*messages).image()
    assert rejected.value.param == "messages"


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 0, "top_p": 0.5, "seed": 7, "user": "x", "n": 1, "stream": None},
        {"frequency_penalty": 1, "presence_penalty": -1, "reasoning_effort": "high", "top_k": 4},
        {"response_format": {"type": "text"}, "modalities": ["text"], "tools": [], "stop": []},
        {"tool_choice": "none", "logit_bias": {}, "metadata": {"a": "b"}, "store": False},
        {"stream_options": {"include_usage": True, "include_obfuscation": False}},
    ],
)
def test_parameters_without_effect_on_a_caption_are_ignored(parameters: dict[str, Any]) -> None:
    assert parse(**parameters).image() == IMAGE


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("n", 2, "n must be 1"),
        ("n", 0, "greater than or equal to 1"),
        ("tools", [{"type": "function"}], "the parameter tools is not supported; leave it out"),
        ("functions", [{}], "parameter functions is not supported"),
        ("logit_bias", {"5": 1}, "parameter logit_bias is not supported"),
        ("audio", {"voice": "ash"}, "parameter audio is not supported"),
        ("modalities", ["text", "audio"], "the response is text"),
        ("response_format", {"type": "json_object"}, "plain text; leave out response_format"),
        (
            "web_search_options",
            {"user_location": None},
            "parameter web_search_options is not supported",
        ),
        ("top_logprobs", 2, "needs logprobs to be true"),
        ("top_logprobs", 21, "less than or equal to 20"),
        ("max_tokens", 0, "max_tokens: input should be greater than or equal to 1"),
        ("max_completion_tokens", "9", "valid integer"),
        ("temperature", 3, "less than or equal to 2"),
        ("stream", "yes", "valid boolean"),
        ("model", None, "model: input should be a valid string"),
        ("messages", [], "at least 1 item"),
    ],
)
def test_parameters_that_cannot_be_honoured_are_rejected_by_name(
    name: str, value: object, reason: str
) -> None:
    with pytest.raises(RequestError, match=reason) as rejected:
        parse(**{name: value})
    assert rejected.value.param == name


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([{"content": "x"}], "messages[0].role: field required"),
        ([{"role": "pirate"}], "messages[0].role: input should be"),
        ([message({"type": "image_url"})], "messages[0].content[0].image_url: field required"),
        (
            [message(text("x"), {"type": "image_url", "image_url": {}})],
            "messages[0].content[1].image_url.url: field required",
        ),
        ([message({"type": "text", "text": 5})], "messages[0].content[0].text: input should be"),
        ([message({"type": "input_audio"})], "messages[0].content[0]: input tag 'input_audio'"),
        ([{"role": "user", "content": 5}], "messages[0].content: input should be a valid string"),
        (["x"], "messages[0]: input should be"),
    ],
)
def test_an_invalid_message_is_named(messages: list[Any], place: str) -> None:
    with pytest.raises(RequestError) as rejected:
        parse(*messages)
    assert str(rejected.value).startswith(place)
    assert rejected.value.param == "messages"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b'"\\ud800"', b"[]", b"null"]
)
def test_a_body_that_is_no_request_is_rejected(body: bytes) -> None:
    with pytest.raises(RequestError):
        CompletionRequest.parse(body)


def test_an_error_does_not_repeat_an_image() -> None:
    with pytest.raises(RequestError) as rejected:
        parse({"role": "user", "content": {"image": URL * 100}})
    assert len(str(rejected.value)) < 200


def test_the_schemas_refer_to_each_other_within_the_document() -> None:
    schemas = request_schemas()

    assert {"CompletionRequest", "Message", "ImagePart", "TextPart", "ImageUrl"} <= set(schemas)
    assert "#/components/schemas/Message" in json.dumps(schemas["CompletionRequest"])
