"""Local addresses of media, and the candidates of a client that media may be sent to.

A server on the loopback address also offers the machine's other addresses, but only to this
machine: Firefox never uses the loopback address for media. aioice 0.13 has no setting for its host
candidates, and leaves out the loopback address, so its `get_host_addresses` is patched.
"""

import ipaddress
import logging
import re
from itertools import islice

import aioice.ice

from stream.ice.sockets import MediaSockets
from stream.ice.trickle import (
    CANDIDATE_PREFIX,
    MAX_CANDIDATES,
    FragmentError,
    is_usable,
    parse_candidate,
)
from stream.settings import is_ip_address, is_loopback

_UNSPECIFIED = ("0.0.0.0", "::")

# Port 9 is discard. The browser's own checks arrive and are answered (RFC 8445, 7.3.1.3), but
# aioice fails at once if it has no candidate to check.
_PLACEHOLDER = CANDIDATE_PREFIX + "0 1 UDP 1 {address} 9 typ host"
_SECTION = re.compile(r"^(?=m=)", re.M)
_END_OF_CANDIDATES = "a=end-of-candidates"

logger = logging.getLogger(__name__)

_get_host_addresses = aioice.ice.get_host_addresses


class NoPortFree(RuntimeError):
    """No UDP port is free for media."""


class MediaAddresses:
    """Restricts media of the whole process to the bound address and ports, until `release`."""

    def __init__(self, host: str, ports: range | None = None) -> None:
        """Restrict media.

        Args:
            host: The address that the server is bound to, or `localhost`.
            ports: UDP ports for media; any free port if None.
        """
        address = "127.0.0.1" if host == "localhost" else host
        self._is_unspecified = address in _UNSPECIFIED
        self._address = address
        self._is_loopback = is_loopback(address)
        self._ports = ports
        aioice.ice.get_host_addresses = self._host_addresses
        self._sockets = MediaSockets(ports, only_this_machine=self._is_loopback)

    def release(self) -> None:
        """Lift the restriction."""
        aioice.ice.get_host_addresses = _get_host_addresses
        self._sockets.release()

    def filter_candidates(self, sdp: str) -> str:
        """Remove the candidates of an offer that cannot be used or must not be sent to.

        Each media section keeps at least one candidate, a placeholder if necessary: a client may
        send its candidates later, or only wait for the answer. Multicast DNS names are removed too,
        because resolving them takes time; add them after the answer. So is the end of candidates,
        after which aioice would refuse those, and fail as soon as all known ones have failed.
        """
        # Line endings as aiortc's parser expects them.
        head, *sections = _SECTION.split("".join(f"{line}\r\n" for line in sdp.splitlines()))
        own = self._own_addresses()
        return head + "".join(self._filter_section(section, own) for section in sections)

    def allows(self, address: str) -> bool:
        """Return whether media may be sent to an address.

        A server on the loopback address sends to this machine only, and resolves no multicast DNS
        names: the machine's own browser is recognized by the address that its checks come from.
        """
        return _is_allowed(address, self._own_addresses())

    def check_answer(self, sdp: str, *, relayed: bool = False) -> None:
        """Check the candidates of an answer of this server.

        Args:
            sdp: The answer.
            relayed: Whether a TURN server is configured; a missing relay candidate is logged.

        Raises:
            NoPortFree: If there is no candidate, because all ports are in use.
        """
        if CANDIDATE_PREFIX not in sdp:
            ports = self._ports
            named = f"all UDP ports of {ports.start}-{ports.stop - 1}" if ports else "all UDP ports"
            raise NoPortFree(f"{named} are in use")
        if relayed and "typ relay" not in sdp:
            logger.warning(
                "the TURN server provided no relay address; check that it can be reached and that "
                "its credentials are right"
            )

    def _filter_section(self, section: str, own: frozenset[str] | None) -> str:
        lines = section.splitlines()
        candidates = [line for line in lines if line.startswith(CANDIDATE_PREFIX)]
        usable = (line for line in candidates if _is_allowed_candidate(line, own))
        kept = list(islice(usable, MAX_CANDIDATES))
        address = "127.0.0.1" if self._is_unspecified else self._address
        removed = (CANDIDATE_PREFIX, _END_OF_CANDIDATES)
        others = [line for line in lines if not line.startswith(removed)]
        return "".join(
            f"{line}\r\n" for line in [*others, *(kept or [_PLACEHOLDER.format(address=address)])]
        )

    def _own_addresses(self) -> frozenset[str] | None:
        """Return the addresses that media is restricted to; None if it is not restricted."""
        return frozenset(host_addresses()) if self._is_loopback else None

    def _host_addresses(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        others = _get_host_addresses(use_ipv4, use_ipv6)
        if self._is_unspecified:
            return ["127.0.0.1", *others]
        return [self._address, *(others if self._is_loopback else ())]


def _is_allowed_candidate(line: str, own: frozenset[str] | None) -> bool:
    try:
        candidate = parse_candidate(line)
    except FragmentError:
        return False
    return is_usable(candidate) and is_ip_address(candidate.ip) and _is_allowed(candidate.ip, own)


def _is_allowed(address: str, own: frozenset[str] | None) -> bool:
    if own is None:
        return True
    if not is_ip_address(address):
        return False
    return is_loopback(address) or str(ipaddress.ip_address(address)) in own


def host_addresses() -> list[str]:
    """Return the IP addresses of this machine, without loopback addresses."""
    return _get_host_addresses(use_ipv4=True, use_ipv6=True)
