"""The request body of a chat completion: validation, and the image in it.

https://platform.openai.com/docs/api-reference/chat/create. Parameters that change nothing about a
caption, such as `temperature`, are checked and ignored; unknown ones are ignored, since servers and
clients add their own. Those whose effect a client would miss are rejected.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic.json_schema import models_json_schema

_MAX_MESSAGES = 1000
_SLICE_CHARACTERS = 2**20
"""Base64 is decoded in slices, between which other threads get their turn; a multiple of 4."""

_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?P<parameters>(?:;[^;,]*)*),", re.IGNORECASE)

_UNSUPPORTED = ("audio", "functions", "logit_bias", "tools", "web_search_options")
"""Parameters without which the response would be another one."""


class RequestError(ValueError):
    """The request is invalid or asks for something unsupported; the message is for the client."""

    def __init__(self, message: str, param: str | None = None) -> None:
        """Reject with a message; `param` is the parameter that is wrong."""
        super().__init__(message)
        self.param = param


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class ImageUrl(_Part):
    """An image, as a data URL (RFC 2397) in base64."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(_Part):
    """A part of a message that is an image."""

    type: Literal["image_url"]
    image_url: ImageUrl


class TextPart(_Part):
    """A part of a message that is text, which is ignored."""

    type: Literal["text"]
    text: str


Part = Annotated[ImagePart | TextPart, Discriminator("type")]


def _kind_of_content(value: object) -> str:
    return "parts" if isinstance(value, list) else "text"


class Message(_Part):
    """A message of the conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: Annotated[
        Annotated[list[Part], Tag("parts")] | Annotated[str | None, Tag("text")],
        Discriminator(_kind_of_content),
    ] = None

    @property
    def images(self) -> list[str]:
        """The URLs of the message's images."""
        parts = self.content if isinstance(self.content, list) else ()
        return [part.image_url.url for part in parts if isinstance(part, ImagePart)]


class StreamOptions(_Part):
    """Options of a response that is sent as server-sent events."""

    include_usage: bool | None = None


class CompletionRequest(BaseModel):
    """The request body of a chat completion."""

    model_config = ConfigDict(strict=True, frozen=True)

    model: str
    messages: list[Message] = Field(min_length=1, max_length=_MAX_MESSAGES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    n: int | None = Field(None, ge=1, le=128)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = None
    response_format: dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    functions: list[Any] | None = None
    logit_bias: dict[str, float] | None = None
    tools: list[Any] | None = None
    web_search_options: dict[str, Any] | None = None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Parse a body.

        Raises:
            RequestError: If it is not JSON, or is invalid or unsupported.
        """
        try:
            request = cls.model_validate_json(body)
        except ValidationError as error:
            raise _describe(error) from None
        request._check_supported()
        return request

    def image(self) -> bytes:
        """Decode the image of the newest turn: of the messages after the last of the assistant.

        Raises:
            RequestError: If there is no image, or several, or it is not a data URL in base64.
        """
        roles = [message.role for message in self.messages]
        after = len(roles) - roles[::-1].index("assistant") if "assistant" in roles else 0
        urls = [url for message in self.messages[after:] for url in message.images]
        if not urls:
            raise RequestError(
                "the newest message has no image; send one as a part of the type image_url: "
                "Sightline captions images and answers no text",
                "messages",
            )
        if len(urls) > 1:
            raise RequestError(
                f"there are {len(urls)} images; send one image in a request", "messages"
            )
        return _decode_data_url(urls[0])

    @property
    def max_words(self) -> int | None:
        """Maximum number of words in the response."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """Texts before the first of which the response ends."""
        texts = [self.stop] if isinstance(self.stop, str) else self.stop or ()
        return tuple(filter(None, texts))

    def _check_supported(self) -> None:
        if (self.n or 1) > 1:
            raise RequestError("n must be 1: there is one caption for an image", "n")
        if self.top_logprobs is not None and not self.logprobs:
            raise RequestError("top_logprobs needs logprobs to be true", "top_logprobs")
        if (self.response_format or {}).get("type", "text") != "text":
            raise RequestError(
                "the response is plain text; leave out response_format", "response_format"
            )
        if any(kind != "text" for kind in self.modalities or ()):
            raise RequestError("the response is text; leave out modalities", "modalities")
        for name in _UNSUPPORTED:
            if getattr(self, name):
                raise RequestError(f"the parameter {name} is not supported; leave it out", name)


def request_schemas() -> dict[str, Any]:
    """Return the JSON schemas of the request body and of its parts, by name."""
    _, schemas = models_json_schema(
        [(CompletionRequest, "validation")], ref_template="#/components/schemas/{model}"
    )
    definitions: dict[str, Any] = schemas["$defs"]
    return definitions


def _decode_data_url(url: str) -> bytes:
    head = _DATA_URL.match(url)
    if head is None:
        raise RequestError(
            "the image must be in the request, as a data: URL such as "
            "data:image/jpeg;base64,...; Sightline fetches no addresses that a client names",
            "messages",
        )
    if "base64" not in head["parameters"].lower().split(";"):
        raise RequestError("the image must be in base64: data:image/jpeg;base64,...", "messages")
    try:
        return b"".join(
            base64.b64decode(url[start : start + _SLICE_CHARACTERS], validate=True)
            for start in range(head.end(), len(url), _SLICE_CHARACTERS)
        )
    except (binascii.Error, ValueError):
        message = "the image is not valid base64 without line breaks, as base64 -w0 writes it"
        raise RequestError(message, "messages") from None


def _describe(validation_error: ValidationError) -> RequestError:
    """Describe the first error, without repeating values: an image has megabytes."""
    error = validation_error.errors(include_url=False, include_input=False, include_context=False)[
        0
    ]
    if error["type"] == "json_invalid":
        return RequestError(f"the body is not JSON: {error['msg'].removeprefix('Invalid JSON: ')}")
    place = _place(error["loc"])
    message = f"{place or 'the body'}: {error['msg'][:1].lower()}{error['msg'][1:]}"
    return RequestError(message, place.partition(".")[0].partition("[")[0] or None)


def _place(parts: Iterable[int | str]) -> str:
    """Write a place in the body, such as `messages[0].content[1].text`."""
    place, names, in_parts = "", list(parts), False
    for index, part in enumerate(names):
        if isinstance(part, int):
            place += f"[{part}]"
        elif index and names[index - 1] == "content":
            # The kind of content, which is no key.
            in_parts = part == "parts"
        elif in_parts and isinstance(names[index - 1], int):
            # The type of a part.
            in_parts = False
        else:
            place += f".{part}" if place else part
    return place
