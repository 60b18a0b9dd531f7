"""ICE candidates that a client sends after its offer (trickle ICE, RFC 8838), as SDP fragments.

The format is `application/trickle-ice-sdpfrag` (RFC 8840).
"""

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from aiortc import RTCIceCandidate, sdp

from stream.settings import is_ip_address

MAX_CANDIDATES = 64
"""Maximum per fragment, and per session in total."""

CANDIDATE_PREFIX = "a=candidate:"

_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)\s*$", re.M)
_PASSWORD = re.compile(r"^a=ice-pwd:(\S+)\s*$", re.M)
_CANDIDATE_TYPES = ("host", "srflx", "prflx", "relay")


class FragmentError(ValueError):
    """An SDP fragment cannot be parsed."""


class IceRestart(ValueError):
    """A client requests an ICE restart, which is not supported."""


class IceCredentials(NamedTuple):
    """The credentials of an ICE session; a restart changes them (RFC 8445, section 9)."""

    ufrag: str
    password: str


def parse_ice_credentials(text: str) -> IceCredentials | None:
    """Return the first credentials in an SDP or a fragment; None if there are none."""
    ufrag, password = _UFRAG.search(text), _PASSWORD.search(text)
    return IceCredentials(ufrag[1], password[1]) if ufrag and password else None


@dataclass(frozen=True, slots=True)
class SdpFragment:
    """A parsed fragment."""

    credentials: IceCredentials
    candidates: tuple[RTCIceCandidate, ...]
    """The usable candidates: over UDP, with RTP and RTCP multiplexed."""

    @classmethod
    def parse(cls, text: str) -> "SdpFragment":
        """Parse a fragment.

        Raises:
            FragmentError: If it is malformed or has too many candidates.
        """
        credentials = parse_ice_credentials(text)
        if credentials is None:
            raise FragmentError("the fragment has no a=ice-ufrag or a=ice-pwd (RFC 8840)")
        candidates = _parse_candidates(text.splitlines())
        if len(candidates) > MAX_CANDIDATES:
            raise FragmentError(f"the fragment has more than {MAX_CANDIDATES} candidates")
        return cls(credentials, tuple(filter(is_usable, candidates)))


def parse_candidate(line: str) -> RTCIceCandidate:
    """Parse the candidate line of an SDP.

    Raises:
        FragmentError: If it is malformed.
    """
    try:
        return sdp.candidate_from_sdp(line.removeprefix(CANDIDATE_PREFIX))
    except (AssertionError, ValueError) as problem:
        raise FragmentError(f"{line[:100]!r} is not a valid candidate (RFC 8839, 5.1)") from problem


def parse_named_candidates(offer: str) -> list[RTCIceCandidate]:
    """Return the usable candidates of a valid offer that are multicast DNS names."""
    return [
        replace(candidate, sdpMid=media.rtp.muxId)
        for media in sdp.SessionDescription.parse(offer).media
        for candidate in media.ice_candidates
        if is_usable(candidate) and not is_ip_address(candidate.ip)
    ][:MAX_CANDIDATES]


def is_usable(candidate: RTCIceCandidate) -> bool:
    """Return whether a candidate can be used; TCP and separate RTCP are not supported."""
    return (
        candidate.protocol.lower() == "udp"
        and candidate.component == 1
        and candidate.type in _CANDIDATE_TYPES
        and 0 < candidate.port < 65_536
        and (candidate.ip.endswith(".local") or is_ip_address(candidate.ip))
    )


def _parse_candidates(lines: list[str]) -> list[RTCIceCandidate]:
    candidates, mid = [], None
    for line in lines:
        if line.startswith("m="):
            mid = None
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:").strip()
        elif line.startswith(CANDIDATE_PREFIX):
            candidate = parse_candidate(line)
            # Outside a section they belong to the first, into which the others are bundled.
            index = 0 if mid is None else None
            candidates.append(replace(candidate, sdpMid=mid, sdpMLineIndex=index))
    return candidates
