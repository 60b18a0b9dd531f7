"""SDP offers: validated, or refused with a reason."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from aiortc import RTCRtpCodecParameters, RTCSessionDescription, sdp

from stream.settings import validate_stream_name
from stream.video import SharedCodec

_MAX_SECTIONS = 4
_SECTION_KINDS = ("audio", "video", "application")

_DEFAULT_H264_PROFILE = "42e01f"
"""Constrained Baseline, level 3.1."""

_SECTION = re.compile(r"^(?=m=)", re.M)
_BUNDLE = re.compile(r"^a=group:BUNDLE (.+)$", re.M)
_MID = re.compile(r"^a=mid:(\S+)\s*$", re.M)
_REJECTED = re.compile(r"^(m=\S+ 0 .*?)\s*$", re.M)
_BUNDLE_ONLY = re.compile(r"^a=bundle-only\s*$", re.M)
_TRANSPORT_ATTRIBUTES = ("ice-ufrag", "ice-pwd", "ice-options", "fingerprint", "setup", "rtcp-mux")
"""Attributes that a bundle-only section shares with the section that its bundle is named after."""


class InputKind(StrEnum):
    """Where the frames of a session come from."""

    PEER = "peer"
    """The client that made the offer."""
    DEMO = "demo"
    """The built-in demo clip."""
    FEED = "feed"
    """A feed, which other viewers may watch too."""


class OfferError(ValueError):
    """An offer is not acceptable."""

    def __init__(self, code: str, message: str) -> None:
        """Set an error code for programs and a message for people."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class VideoSection:
    """A media section of an offer."""

    index: int
    """Index among all media sections."""
    mid: str
    """Its `a=mid` (RFC 5888)."""
    shared_codec: SharedCodec = SharedCodec.VP8
    """The codec in which the peer receives shared video, if it does."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A validated offer."""

    description: RTCSessionDescription
    input: InputKind
    video: VideoSection
    """The media section of the video."""
    receives: bool = True
    """Whether to send the annotated video to the peer."""
    feed: str = ""
    """Name of the feed to watch, if that is the input."""
    publish: str = ""
    """Name to publish the peer's video under; empty to not publish it."""
    captioned: bool = True
    """Whether the caption is drawn on the video of a feed that the peer watches."""
    rejected: tuple[tuple[int, str], ...] = ()
    """Media sections that the peer rejected, which the description lacks: the index of each among
    all, and its section in the answer."""

    def complete_answer(self, answer: RTCSessionDescription) -> RTCSessionDescription:
        """Return an answer to the description with the rejected sections, in the offer's order."""
        head, *sections = _SECTION.split(answer.sdp)
        for index, section in self.rejected:
            sections.insert(index, section)
        return RTCSessionDescription(head + "".join(sections), answer.type)

    @classmethod
    def from_json(cls, body: Any, sdp_bytes: int) -> "Offer":
        """Validate the JSON body of a request.

        Args:
            body: `{"sdp", "type": "offer", "source"?: "peer" | "demo" | "feed", "feed"?,
                "publish"?, "returned_video"?: "annotated" | "plain"}`.
            sdp_bytes: Maximum size of the SDP, in bytes.

        Raises:
            OfferError: If it is not an offer, or has no video that fits the source.
        """
        if not isinstance(body, dict) or not isinstance(body.get("sdp"), str):
            raise OfferError("bad-request", 'the body must be {"sdp": "...", "type": "offer"}')
        if body.get("type") != "offer":
            raise OfferError("bad-request", 'type must be "offer"')
        try:
            source = InputKind(body.get("source", "peer"))
        except ValueError:
            allowed = ", ".join(InputKind)
            raise OfferError("bad-request", f"source must be one of: {allowed}") from None
        feed = _read_name(body, "feed", is_allowed=source is InputKind.FEED)
        can_publish = source is InputKind.PEER and "publish" in body
        publish = _read_name(body, "publish", is_allowed=can_publish)
        captioned = _read_captioned(body, source)
        return cls.from_sdp(
            body["sdp"], source, sdp_bytes, feed=feed, publish=publish, captioned=captioned
        )

    @classmethod
    def from_sdp(
        cls,
        text: str,
        source: InputKind,
        sdp_bytes: int,
        *,
        feed: str = "",
        publish: str = "",
        captioned: bool = True,
        returns_video: bool = True,
    ) -> "Offer":
        """Validate the SDP of an offer.

        Args:
            text: The SDP.
            source: Where the frames come from.
            sdp_bytes: Maximum size of the SDP, in bytes.
            feed: As the attribute.
            publish: As the attribute.
            captioned: As the attribute.
            returns_video: Whether a peer that sends video may receive it annotated.

        Raises:
            OfferError: If it cannot be parsed, or has no video that fits the source.
        """
        if len(text.encode(errors="replace")) > sdp_bytes:
            raise OfferError("too-large", f"the SDP is larger than {sdp_bytes} bytes")
        text, rejected = _remove_rejected(text)
        text = _complete_bundle(text)
        parsed = _parse(text)
        section, video = _find_video(parsed)
        direction = video.direction or "sendrecv"
        _check_direction(direction, source)
        _check_bundle(parsed)
        _check_fingerprints(parsed)
        receives = returns_video and direction in ("sendrecv", "recvonly")
        if receives and (source is InputKind.FEED or publish):
            section = replace(section, shared_codec=_choose_shared_codec(video))
        description = RTCSessionDescription(sdp=text, type="offer")
        return cls(description, source, section, receives, feed, publish, captioned, rejected)


def _read_name(body: dict[str, Any], key: str, *, is_allowed: bool) -> str:
    if not is_allowed:
        if body.get(key):
            raise OfferError("bad-request", f"{key} cannot be combined with this source")
        return ""
    name = body.get(key)
    try:
        return validate_stream_name(name if isinstance(name, str) else "")
    except ValueError as problem:
        raise OfferError("bad-request", f"{key}: {problem}") from None


def _read_captioned(body: dict[str, Any], source: InputKind) -> bool:
    video = body.get("returned_video", "annotated")
    if source is not InputKind.FEED and "returned_video" in body:
        message = "returned_video is for the source feed; other sessions set it by configure"
        raise OfferError("bad-request", message)
    if video not in ("annotated", "plain"):
        raise OfferError("bad-request", "returned_video must be one of: annotated, plain")
    return bool(video == "annotated")


def _parse(text: str) -> sdp.SessionDescription:
    if not text.startswith("v=0"):
        raise OfferError("bad-sdp", 'the SDP cannot be parsed: it does not begin with "v=0"')
    try:
        return sdp.SessionDescription.parse(text)
    except Exception as problem:
        # The parser raises any exception at malformed text.
        raise OfferError("bad-sdp", f"the SDP cannot be parsed: {problem!r}") from problem


def _remove_rejected(text: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Remove the media sections that the offer rejects, which aiortc would answer like others.

    Their port is zero, and they are not bundle-only (RFC 9143, sections 6 and 7.2). The answer has
    to reject them too (RFC 3264, section 6).

    Returns:
        The SDP without them, and `Offer.rejected`.
    """
    head, *sections = _SECTION.split(text)
    group = _BUNDLE.search(head)
    mids = group[1].split() if group else []
    kept: list[str] = []
    rejected: list[tuple[int, str]] = []
    removed: set[str] = set()
    for index, section in enumerate(sections):
        media, found = _REJECTED.match(section), _MID.search(section)
        mid = found[1] if found else ""
        if not media or (_BUNDLE_ONLY.search(section) and mid in mids):
            kept.append(section)
            continue
        lines = [
            media[1],
            "c=IN IP4 0.0.0.0",
            "a=inactive",
            *filter(None, [mid and f"a=mid:{mid}"]),
        ]
        rejected.append((index, "".join(f"{line}\r\n" for line in lines)))
        removed.add(mid)
    if removed:
        left = " ".join(mid for mid in mids if mid not in removed)
        head = _BUNDLE.sub(f"a=group:BUNDLE {left}\r", head)
    return head + "".join(kept), tuple(rejected)


def _complete_bundle(text: str) -> str:
    """Complete bundle-only sections, which aiortc expects to be like others.

    Their port is zero, although they are not rejected (RFC 9143, section 6), and they may leave
    the transport to the section that the bundle is named after.
    """
    head, *sections = _SECTION.split(text)
    group = _BUNDLE.search(head)
    mids = group[1].split() if group else []
    by_mid = {found[1]: section for section in sections if (found := _MID.search(section))}
    if not mids or mids[0] not in by_mid:
        return text
    transport = by_mid[mids[0]].splitlines()
    return head + "".join(
        _complete_section(section, transport)
        if _BUNDLE_ONLY.search(section) and (found := _MID.search(section)) and found[1] in mids
        else section
        for section in sections
    )


def _complete_section(section: str, transport: list[str]) -> str:
    media, *lines = section.splitlines()
    missing = [
        line
        for name in _TRANSPORT_ATTRIBUTES
        if not any(line.startswith(f"a={name}") for line in lines)
        for line in transport
        if line.startswith(f"a={name}")
    ]
    media = re.sub(r"^(m=\w+) 0 ", r"\1 9 ", media)
    return "".join(f"{line}\r\n" for line in [media, *lines, *missing])


def _find_video(description: sdp.SessionDescription) -> tuple[VideoSection, sdp.MediaDescription]:
    """Return the section of the video; others may be there, but must be inactive."""
    if len(description.media) > _MAX_SECTIONS:
        raise OfferError("bad-sdp", f"the SDP has more than {_MAX_SECTIONS} media sections")
    active = [
        (VideoSection(index, media.rtp.muxId), media)
        for index, media in enumerate(description.media)
        if media.kind == "video" and media.port and media.direction != "inactive"
    ]
    if len(active) != 1:
        raise OfferError("no-video", "the offer must have exactly one video track")
    return active[0]


def _check_direction(direction: str, source: InputKind) -> None:
    if source is InputKind.PEER and direction not in ("sendrecv", "sendonly"):
        raise OfferError(
            "no-video", "the offer has no video track that sends; add one, or use the demo source"
        )
    if source is not InputKind.PEER and direction not in ("sendrecv", "recvonly"):
        raise OfferError(
            "no-video", f"the offer has no video track that receives, as source {source} needs"
        )


def _check_bundle(description: sdp.SessionDescription) -> None:
    """Refuse to bundle missing sections (RFC 9143, section 7.2), at which aiortc fails."""
    mids = [media.rtp.muxId for media in description.media]
    if len(set(mids)) < len(mids):
        raise OfferError("bad-sdp", "two media sections of the SDP have the same mid, or none")
    known = {media.rtp.muxId for media in description.media if media.kind in _SECTION_KINDS}
    for group in description.group:
        if group.semantic == "BUNDLE" and not set(group.items) <= known:
            raise OfferError("bad-sdp", "the SDP bundles a media section that it does not contain")


def _check_fingerprints(description: sdp.SessionDescription) -> None:
    """Refuse media without an authenticated sender (RFC 8122, section 5; RFC 8827, section 6.5)."""
    if not all(media.dtls and media.dtls.fingerprints for media in description.media):
        raise OfferError("bad-sdp", "a media section of the SDP has no fingerprint")


def _choose_shared_codec(video: sdp.MediaDescription) -> SharedCodec:
    """Choose VP8 if the peer supports it, so that one encoding serves most viewers."""
    codecs = video.rtp.codecs
    if any(codec.mimeType.lower() == "video/vp8" for codec in codecs):
        return SharedCodec.VP8
    if any(map(_is_baseline_h264, codecs)):
        return SharedCodec.H264
    raise OfferError(
        "no-codec",
        "the offer has no codec of shared video: VP8, or H.264 Constrained Baseline with "
        "packetization-mode=1",
    )


def _is_baseline_h264(codec: RTCRtpCodecParameters) -> bool:
    """Return whether H.264 Constrained Baseline is acceptable, in fragments (RFC 6184, 6.3)."""
    if codec.mimeType.lower() != "video/h264":
        return False
    if str(codec.parameters.get("packetization-mode")) != "1":
        return False
    try:
        profile, _ = sdp.parse_h264_profile_level_id(
            str(codec.parameters.get("profile-level-id", _DEFAULT_H264_PROFILE))
        )
    except ValueError:
        return False
    return profile in (
        sdp.H264Profile.PROFILE_BASELINE,
        sdp.H264Profile.PROFILE_CONSTRAINED_BASELINE,
    )
