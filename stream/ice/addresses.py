"""Local addresses and UDP ports of media: the bound address, and optionally a range of ports.

aioice 0.13 has no setting for either, so both are patched: `get_host_addresses` for the host
candidates (by itself it leaves out the loopback address, the only one that a server bound to it
should offer), and its `asyncio` module for the ports (it binds each socket to port 0).
"""

import asyncio
import logging
import re
from collections.abc import Callable
from itertools import islice
from typing import Any

import aioice.ice

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
        aioice.ice.get_host_addresses = self._host_addresses
        self._ports = PortRange(ports) if ports else None

    def release(self) -> None:
        """Lift the restriction."""
        aioice.ice.get_host_addresses = _get_host_addresses
        if self._ports:
            self._ports.release()

    def filter_candidates(self, sdp: str) -> str:
        """Remove the candidates of an offer that cannot be used or must not be sent to.

        Each media section keeps at least one candidate, a placeholder if necessary: a client may
        send its candidates later, or only wait for the answer.
        """
        # Line endings as aiortc's parser expects them.
        head, *sections = _SECTION.split("".join(f"{line}\r\n" for line in sdp.splitlines()))
        return head + "".join(map(self._filter_section, sections))

    def allows(self, address: str) -> bool:
        """Return whether media may be sent to an address.

        A server on the loopback address sends to loopback addresses only, and not to multicast DNS
        names either.
        """
        return not self._is_loopback or (is_ip_address(address) and is_loopback(address))

    def check_answer(self, sdp: str, *, relayed: bool = False) -> None:
        """Check the candidates of an answer of this server.

        Args:
            sdp: The answer.
            relayed: Whether a TURN server is configured; a missing relay candidate is logged.

        Raises:
            NoPortFree: If there is no candidate, because all ports are in use.
        """
        if CANDIDATE_PREFIX not in sdp:
            ports = f"all UDP ports of {self._ports}" if self._ports else "all UDP ports"
            raise NoPortFree(f"{ports} are in use")
        if relayed and "typ relay" not in sdp:
            logger.warning(
                "the TURN server provided no relay address; check that it can be reached and that "
                "its credentials are right"
            )

    def _filter_section(self, section: str) -> str:
        lines = section.splitlines()
        candidates = [line for line in lines if line.startswith(CANDIDATE_PREFIX)]
        kept = list(islice(filter(self._is_allowed_candidate, candidates), MAX_CANDIDATES))
        address = "127.0.0.1" if self._is_unspecified else self._address
        others = [line for line in lines if not line.startswith(CANDIDATE_PREFIX)]
        return "".join(
            f"{line}\r\n" for line in [*others, *(kept or [_PLACEHOLDER.format(address=address)])]
        )

    def _is_allowed_candidate(self, line: str) -> bool:
        try:
            candidate = parse_candidate(line)
        except FragmentError:
            return False
        return is_usable(candidate) and self.allows(candidate.ip)

    def _host_addresses(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        if not self._is_unspecified:
            return [self._address]
        return ["127.0.0.1", *_get_host_addresses(use_ipv4, use_ipv6)]


def host_addresses() -> list[str]:
    """Return the IP addresses of this machine, without loopback addresses."""
    return _get_host_addresses(use_ipv4=True, use_ipv6=True)


class PortRange:
    """Makes aioice bind to ports of a range, for the whole process, until `release`."""

    def __init__(self, ports: range) -> None:
        """Patch aioice."""
        self._ports, self._next = ports, 0
        vars(aioice.ice)["asyncio"] = _PatchedAsyncio(self)

    def __str__(self) -> str:
        return f"{self._ports.start}-{self._ports.stop - 1}"

    def release(self) -> None:
        """Undo the patch."""
        vars(aioice.ice)["asyncio"] = asyncio

    async def bind(
        self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], Any], address: str
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """Open a socket at the next free port of the range, round-robin.

        Raises:
            OSError: If no port is free.
        """
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            try:
                return await loop.create_datagram_endpoint(protocol, local_addr=(address, port))
            except OSError:
                continue
        raise OSError(f"all ports of {self} at {address} are in use")


class _PatchedAsyncio:
    """The asyncio module, except for the running loop."""

    def __init__(self, ports: PortRange) -> None:
        self._ports = ports

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_running_loop(self) -> "_PatchedLoop":
        return _PatchedLoop(asyncio.get_running_loop(), self._ports)


class _PatchedLoop:
    """An event loop, except that it binds datagram sockets within the port range."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ports: PortRange) -> None:
        self._loop, self._ports = loop, ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_datagram_endpoint(
        self, protocol: Callable[[], Any], local_addr: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, Any]:
        return await self._ports.bind(self._loop, protocol, local_addr[0])
