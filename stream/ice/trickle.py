"""ICE candidates that a client sends after its offer (RFC 8838), as RFC 8840 writes them down."""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from aiortc import RTCIceCandidate, sdp

MOST_CANDIDATES = 64
"""In one fragment, and of one session in all."""


CANDIDATE = "a=candidate:"


_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)\s*$", re.M)


_PASSWORD = re.compile(r"^a=ice-pwd:(\S+)\s*$", re.M)


_KINDS = ("host", "srflx", "prflx", "relay")


class FragmentError(ValueError):
    """The fragment cannot be read."""


class IceRestart(ValueError):
    """A client wants to begin ICE anew on a connection that there is."""


class IceCredentials(NamedTuple):
    """What tells one ICE session of a peer from the next (RFC 8445, section 9)."""

    ufrag: str
    password: str


def ice_credentials(text: str) -> IceCredentials | None:
    """Find the first credentials in an SDP or a fragment; None if there are none."""
    ufrag, password = _UFRAG.search(text), _PASSWORD.search(text)
    return IceCredentials(ufrag[1], password[1]) if ufrag and password else None


@dataclass(frozen=True, slots=True)
class SdpFragment:
    """A body of the type application/trickle-ice-sdpfrag."""

    credentials: IceCredentials
    candidates: tuple[RTCIceCandidate, ...]
    """Those that can be used: for RTP and RTCP alike, over UDP."""

    @classmethod
    def parse(cls, text: str) -> "SdpFragment":
        """Read a fragment.

        Raises:
            FragmentError: If it is none, or has too many candidates.
        """
        credentials = ice_credentials(text)
        if credentials is None:
            raise FragmentError("the fragment needs a=ice-ufrag and a=ice-pwd (RFC 8840)")
        candidates = _candidates(text.splitlines())
        if len(candidates) > MOST_CANDIDATES:
            raise FragmentError(f"a fragment may have {MOST_CANDIDATES} candidates at most")
        return cls(credentials, tuple(filter(is_usable, candidates)))


def is_usable(candidate: RTCIceCandidate) -> bool:
    """Whether a candidate can be checked; TCP, and an RTCP of its own, are not used."""
    return (
        candidate.protocol.lower() == "udp"
        and candidate.component == 1
        and candidate.type in _KINDS
        and 0 < candidate.port < 65_536
        and _is_host(candidate.ip)
    )


def read_candidate(line: str) -> RTCIceCandidate:
    """Read the line of an SDP that has a candidate.

    Raises:
        FragmentError: If it is malformed.
    """
    try:
        return sdp.candidate_from_sdp(line.removeprefix(CANDIDATE))
    except (AssertionError, ValueError) as problem:
        raise FragmentError(f"{line[:100]!r} is no candidate (RFC 8839, 5.1)") from problem


def _candidates(lines: list[str]) -> list[RTCIceCandidate]:
    found, mid = [], None
    for line in lines:
        if line.startswith("m="):
            mid = None
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:").strip()
        elif line.startswith(CANDIDATE):
            candidate = read_candidate(line)
            # Without a section they are those of the first, in which the others are bundled.
            found.append(replace(candidate, sdpMid=mid, sdpMLineIndex=0 if mid is None else None))
    return found


def _is_host(address: str) -> bool:
    if address.endswith(".local"):
        return True
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
