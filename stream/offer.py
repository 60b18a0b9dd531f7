"""An offer that can be answered, or a clear refusal."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiortc import RTCSessionDescription, sdp

_MOST_SECTIONS = 4


class InputKind(StrEnum):
    """Where a session's pictures come from."""

    PEER = "peer"
    """From the client that made the offer."""
    DEMO = "demo"
    """From the built-in demo clip."""


class OfferError(ValueError):
    """An offer that cannot be answered."""

    def __init__(self, code: str, message: str) -> None:
        """Refuse with a code for programs and a message for people."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer."""

    description: RTCSessionDescription
    input: InputKind

    @classmethod
    def read(cls, body: Any, sdp_bytes: int) -> "Offer":
        """Check a request's JSON value.

        Args:
            body: `{"sdp", "type": "offer", "source"?: "peer" | "demo"}`.
            sdp_bytes: The largest SDP.

        Raises:
            OfferError: If it is no offer, or offers no video that fits the source.
        """
        if not isinstance(body, dict) or not isinstance(body.get("sdp"), str):
            raise OfferError("bad-request", 'send {"sdp": "...", "type": "offer"}')
        if body.get("type") != "offer":
            raise OfferError("bad-request", 'the type must be "offer"')
        try:
            source = InputKind(body.get("source", "peer"))
        except ValueError:
            known = ", ".join(InputKind)
            raise OfferError("bad-request", f"the source must be one of {known}") from None
        text = body["sdp"]
        if len(text.encode(errors="replace")) > sdp_bytes:
            raise OfferError("too-large", f"the SDP may have {sdp_bytes} bytes at most")
        _check_media(_parse(text), source)
        return cls(RTCSessionDescription(sdp=text, type="offer"), source)


def _parse(text: str) -> sdp.SessionDescription:
    if not text.startswith("v=0"):
        raise OfferError("bad-sdp", 'the SDP cannot be read: it does not begin with "v=0"')
    try:
        return sdp.SessionDescription.parse(text)
    except Exception as problem:
        # The parser answers nonsense with whatever exception it runs into.
        raise OfferError("bad-sdp", f"the SDP cannot be read: {problem!r}") from problem


def _check_media(description: sdp.SessionDescription, source: InputKind) -> None:
    if len(description.media) > _MOST_SECTIONS:
        raise OfferError("bad-sdp", f"the SDP may have {_MOST_SECTIONS} media sections at most")
    video = [media for media in description.media if media.kind == "video" and media.port]
    if len(video) != 1:
        raise OfferError("no-video", "offer exactly one video track")
    direction = video[0].direction or "sendrecv"
    if source is InputKind.PEER and direction not in ("sendrecv", "sendonly"):
        raise OfferError("no-video", "offer a video track that sends, or ask for the demo source")
    if source is InputKind.DEMO and direction not in ("sendrecv", "recvonly"):
        raise OfferError("no-video", "the demo source needs a video track that receives")
