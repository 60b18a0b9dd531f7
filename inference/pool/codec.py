"""The requests and answers of a caption service over HTTP.

A request is one message (`inference.engine.messages`), whose payload is the pixels of its images.
Its answer is a sequence of messages: any `alive` and `progress`, then the result (`caption`,
`explanation`, `check` or `analysis`), `requests` or `failed`. To cancel a request, close its
response.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from inference.captioning import FrameRequest, StreamState
from inference.engine import AnalysisKind
from inference.engine.messages import MessageError, split, unpack
from inference.explanations import Target

PROTOCOL = 1
"""Version of the requests and answers; a client and a server of different versions refuse each
other."""

CONTENT_TYPE = "application/vnd.sightline.captions"
PATH = "/captioner"
"""Of all requests: POST for a request, GET for the state."""
PROTOCOL_HEADER = "X-Sightline-Protocol"

MAX_REQUEST_BYTES = 2**26
"""Of a request; the largest are analyses with the frames of a stream, 12 MB for the shipped
captioner."""
MAX_ANSWER_BYTES = 2**26
"""Of one message of an answer; the largest are the reports of analyses."""
_MAX_SIDE = 2**14
_MAX_IMAGES = 256
_MAX_TOKENS = 10_000

Shape = Annotated[
    tuple[
        Annotated[int, Field(ge=1, le=_MAX_SIDE)],
        Annotated[int, Field(ge=1, le=_MAX_SIDE)],
        Literal[3],
    ],
    Field(strict=False),
]
Failure = Literal["too old", "unavailable", "busy", "invalid"]
"""Why there is no result: `FrameTooOld`, `EngineUnavailable`, `EngineBusy` or ValueError."""

Tokens = Annotated[tuple[int, ...], Field(strict=False, max_length=_MAX_TOKENS)]


class MalformedRequest(ValueError):
    """A request is not one of those that clients of this version send."""


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    shapes: Annotated[tuple[Shape, ...], Field(strict=False, min_length=1, max_length=_MAX_IMAGES)]
    """Of the images in the payload, one after another: RGB, [H, W, 3]."""


class CaptionRequest(_Request):
    """A frame to caption, see `FrameRequest`."""

    type: Literal["caption"] = "caption"
    state: dict[str, Any] | None
    refresh: bool
    maps: bool
    background: bool
    max_wait_s: float | None = Field(ge=0, allow_inf_nan=False)
    beam_width: int | None = Field(ge=1, le=100)

    def frame_request(self, image: NDArray[np.uint8], captioner: str) -> FrameRequest:
        """Return the request for the captioner with this fingerprint.

        A state that another captioner made is left out.

        Raises:
            MalformedRequest: If the state is invalid.
        """
        try:
            state = StreamState.from_json(self.state) if self.state else None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise MalformedRequest("the state of the stream is invalid") from None
        return FrameRequest(
            image,
            state if state and state.captioner == captioner else None,
            self.refresh,
            self.maps,
            self.background,
            self.max_wait_s,
        )


class _Job(_Request):
    tokens: Tokens


class ExplainRequest(_Job):
    """A caption to explain, see `CaptionService.explain`."""

    type: Literal["explain"] = "explain"
    method: str
    target: dict[str, Any]
    live: bool
    requests: int | None = Field(ge=0)
    """Number of requests to other servers that it may cause; unlimited if None."""

    def explained(self) -> Target:
        """Return the target.

        Raises:
            MalformedRequest: If it is invalid.
        """
        try:
            return _TARGET.validate_python(self.target)
        except ValidationError:
            raise MalformedRequest("the target is invalid") from None


class CheckRequest(_Job):
    """A word's map to check, see `CaptionService.check`."""

    type: Literal["check"] = "check"
    method: str
    index: int


class AnalyseRequest(_Job):
    """A caption to analyse, see `CaptionService.analyse`; the frames follow the image."""

    type: Literal["analyse"] = "analyse"
    kind: AnalysisKind
    params: dict[str, Any]


_TARGET = TypeAdapter(Target)

ServiceRequest = CaptionRequest | ExplainRequest | CheckRequest | AnalyseRequest

_ANY_REQUEST: TypeAdapter[ServiceRequest] = TypeAdapter(
    Annotated[ServiceRequest, Field(discriminator="type")]
)


def caption_request(
    request: FrameRequest, beam_width: int | None, max_wait_s: float | None
) -> CaptionRequest:
    """Describe the request for a caption of a frame."""
    return CaptionRequest(
        shapes=shapes_of([request.image]),
        state=request.state.to_json() if request.state else None,
        refresh=request.refresh,
        maps=request.maps,
        background=request.background,
        max_wait_s=max_wait_s,
        beam_width=beam_width,
    )


def shapes_of(images: Sequence[NDArray[np.uint8]]) -> tuple[tuple[int, int, Literal[3]], ...]:
    """Return the shapes of images.

    Raises:
        ValueError: If one is not RGB, uint8 [H, W, 3].
    """
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an image must be uint8 [H, W, 3], not {image.dtype} {image.shape}")
    return tuple((image.shape[0], image.shape[1], 3) for image in images)


def read_request(body: bytes) -> tuple[ServiceRequest, list[NDArray[np.uint8]]]:
    """Read a request and its images.

    Raises:
        MalformedRequest: If it is invalid; the message does not repeat it.
    """
    try:
        message, payload = unpack(body)
        request = _ANY_REQUEST.validate_python(message)
    except MessageError as problem:
        raise MalformedRequest(str(problem)) from None
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][:3]) or "type"
        raise MalformedRequest(f"{where}: {first['msg']}"[:200]) from None
    except RecursionError:
        raise MalformedRequest("the message is nested too deeply") from None
    sizes = [math.prod(shape) for shape in request.shapes]
    if sum(sizes) != len(payload):
        raise MalformedRequest("the payload is not that of the images")
    images = [
        np.frombuffer(part, np.uint8).reshape(shape)
        for part, shape in zip(split(payload, sizes), request.shapes, strict=True)
    ]
    return request, images
