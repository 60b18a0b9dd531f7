"""An offer that can be answered, or a clear refusal."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiortc import RTCSessionDescription, sdp

from stream.settings import check_stream_name

_MOST_SECTIONS = 4


_KINDS = ("audio", "video", "application")


class InputKind(StrEnum):
    """Where a session's pictures come from."""

    PEER = "peer"
    """From the client that made the offer."""
    DEMO = "demo"
    """From the built-in demo clip."""
    FEED = "feed"
    """From a feed, which others may watch too."""


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
    receives: bool = True
    """Whether the peer is to be sent the annotated video."""
    feed: str = ""
    """The name of the feed to watch, if that is the input."""
    publish: str = ""
    """The name under which others may watch what the peer sends; empty for not at all."""

    @classmethod
    def read(cls, body: Any, sdp_bytes: int) -> "Offer":
        """Check a request's JSON value.

        Args:
            body: `{"sdp", "type": "offer", "source"?: "peer" | "demo" | "feed", "feed"?,
                "publish"?}`.
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
        feed = _name(body, "feed", wanted=source is InputKind.FEED)
        publish = _name(body, "publish", wanted=source is InputKind.PEER and "publish" in body)
        return cls.of(body["sdp"], source, sdp_bytes, feed=feed, publish=publish)

    @classmethod
    def of(
        cls,
        text: str,
        source: InputKind,
        sdp_bytes: int,
        *,
        feed: str = "",
        publish: str = "",
        returns: bool = True,
    ) -> "Offer":
        """Check an offer's SDP.

        Args:
            text: The SDP.
            source: Where the pictures are to come from.
            sdp_bytes: The largest SDP.
            feed: As the field.
            publish: As the field.
            returns: Whether a peer that sends pictures may see them annotated.

        Raises:
            OfferError: If it cannot be read, or offers no video that fits the source.
        """
        if len(text.encode(errors="replace")) > sdp_bytes:
            raise OfferError("too-large", f"the SDP may have {sdp_bytes} bytes at most")
        parsed = _parse(text)
        direction = _video_direction(parsed, source)
        _check_bundle(parsed)
        _check_identities(parsed)
        receives = returns and direction in ("sendrecv", "recvonly")
        if receives and (source is InputKind.FEED or publish):
            _check_takes_shared(parsed)
        description = RTCSessionDescription(sdp=text, type="offer")
        return cls(description, source, receives, feed, publish)


def _name(body: dict[str, Any], key: str, *, wanted: bool) -> str:
    if not wanted:
        if body.get(key):
            raise OfferError("bad-request", f"{key} does not go with this source")
        return ""
    name = body.get(key)
    try:
        return check_stream_name(name if isinstance(name, str) else "")
    except ValueError as problem:
        raise OfferError("bad-request", f"{key}: {problem}") from None


def _parse(text: str) -> sdp.SessionDescription:
    if not text.startswith("v=0"):
        raise OfferError("bad-sdp", 'the SDP cannot be read: it does not begin with "v=0"')
    try:
        return sdp.SessionDescription.parse(text)
    except Exception as problem:
        # The parser answers nonsense with whatever exception it runs into.
        raise OfferError("bad-sdp", f"the SDP cannot be read: {problem!r}") from problem


def _video_direction(description: sdp.SessionDescription, source: InputKind) -> str:
    if len(description.media) > _MOST_SECTIONS:
        raise OfferError("bad-sdp", f"the SDP may have {_MOST_SECTIONS} media sections at most")
    video = [media for media in description.media if media.kind == "video" and media.port]
    if len(video) != 1:
        raise OfferError("no-video", "offer exactly one video track")
    direction = video[0].direction or "sendrecv"
    if source is InputKind.PEER and direction not in ("sendrecv", "sendonly"):
        raise OfferError("no-video", "offer a video track that sends, or ask for the demo source")
    if source is not InputKind.PEER and direction not in ("sendrecv", "recvonly"):
        raise OfferError("no-video", f"the {source} source needs a video track that receives")
    return direction


def _check_bundle(description: sdp.SessionDescription) -> None:
    """Refuse to bundle what is not there (RFC 9143, section 7.2), which aiortc trips over."""
    mids = [media.rtp.muxId for media in description.media]
    if len(set(mids)) < len(mids):
        raise OfferError("bad-sdp", "two media sections of the SDP have the same mid, or none")
    known = {media.rtp.muxId for media in description.media if media.kind in _KINDS}
    for group in description.group:
        if group.semantic == "BUNDLE" and not set(group.items) <= known:
            raise OfferError("bad-sdp", "the SDP bundles a media section that it does not have")


def _check_identities(description: sdp.SessionDescription) -> None:
    """Refuse media whose sender could be anybody (RFC 8122, section 5; RFC 8827, section 6.5)."""
    if not all(media.dtls and media.dtls.fingerprints for media in description.media):
        raise OfferError("bad-sdp", "a media section of the SDP has no fingerprint")


def _check_takes_shared(description: sdp.SessionDescription) -> None:
    video = (media.rtp.codecs for media in description.media if media.kind == "video")
    if not any(codec.mimeType.lower() == "video/vp8" for codecs in video for codec in codecs):
        raise OfferError("no-vp8", "offer VP8 (RFC 7741): what many watch is encoded in it alone")
