"""Which addresses media may use: those of the address that the server is bound to.

aioice asks `get_host_addresses` for its host candidates and has no setting for it; it also leaves
the loopback address out, which is the only one that a server bound to it should offer.

The UDP ports that media takes: any, or those of a range that a firewall lets in.

aioice 0.13 binds its host candidates to port 0 and has no setting for it. It asks its loop for the
socket, so that here stands what it takes for asyncio.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from itertools import islice
from typing import Any

import aioice.ice

from stream.ice.trickle import CANDIDATE, MOST_CANDIDATES, FragmentError, is_usable, read_candidate
from stream.settings import is_address, is_loopback

_ANY = ("0.0.0.0", "::")

# Port 9 discards. A browser's checks arrive by themselves and are answered (RFC 8445, 7.3.1.3),
# but aioice gives up at once when it has no candidate to check.
_PLACEHOLDER = CANDIDATE + "0 1 UDP 1 {address} 9 typ host"
_SECTION = re.compile(r"^(?=m=)", re.M)

logger = logging.getLogger(__name__)

_every_address = aioice.ice.get_host_addresses


class NoPortFree(RuntimeError):
    """Media found no UDP port."""


class MediaAddresses:
    """Holds media to the bound address, for the whole process, until `release`."""

    def __init__(self, host: str, ports: range | None = None) -> None:
        """Hold media to some addresses and ports.

        Args:
            host: The address that the server is bound to; `localhost` is the loopback.
            ports: The UDP ports that media may take; any when None.
        """
        address = "127.0.0.1" if host == "localhost" else host
        self._everywhere = address in _ANY
        self._address = address
        self._loopback = is_loopback(address)
        aioice.ice.get_host_addresses = self._host_addresses
        self._ports = PortRange(ports) if ports else None

    def release(self) -> None:
        """Let aioice find every address and port again."""
        aioice.ice.get_host_addresses = _every_address
        if self._ports:
            self._ports.release()

    def admit(self, sdp: str) -> str:
        """Drop an offer's candidates that cannot be used, or must not be sent to.

        Each section keeps one at least. It may well have had none: of a client that sends them
        later, or only waits for an answer.
        """
        # Lines end as they do for aiortc's parser.
        head, *sections = _SECTION.split("".join(f"{line}\r\n" for line in sdp.splitlines()))
        return head + "".join(map(self._admit_section, sections))

    def admits(self, address: str) -> bool:
        """Whether media may be sent to an address.

        A loopback server must not send to another, names resolved by multicast DNS included.
        """
        return not self._loopback or (is_address(address) and is_loopback(address))

    def check_gathered(self, sdp: str, *, relayed: bool = False) -> None:
        """Check an answer of this server.

        Args:
            sdp: The answer.
            relayed: Whether a TURN server was asked for an address; the log tells if none came.

        Raises:
            NoPortFree: If it has no candidate: all ports that may be taken are.
        """
        if CANDIDATE not in sdp:
            ports = f"every UDP port of {self._ports}" if self._ports else "every UDP port"
            raise NoPortFree(f"{ports} is taken")
        if relayed and "typ relay" not in sdp:
            logger.warning("the TURN server gave no address: is it reached, and the secret right?")

    def _admit_section(self, section: str) -> str:
        lines = section.splitlines()
        candidates = [line for line in lines if line.startswith(CANDIDATE)]
        kept = list(islice(filter(self._is_admitted, candidates), MOST_CANDIDATES))
        address = "127.0.0.1" if self._everywhere else self._address
        others = [line for line in lines if not line.startswith(CANDIDATE)]
        return "".join(
            f"{line}\r\n" for line in [*others, *(kept or [_PLACEHOLDER.format(address=address)])]
        )

    def _is_admitted(self, line: str) -> bool:
        try:
            candidate = read_candidate(line)
        except FragmentError:
            return False
        return is_usable(candidate) and self.admits(candidate.ip)

    def _host_addresses(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        if not self._everywhere:
            return [self._address]
        return ["127.0.0.1", *_every_address(use_ipv4, use_ipv6)]


def machine_addresses() -> list[str]:
    """The machine's own addresses, without those of the loopback."""
    return _every_address(use_ipv4=True, use_ipv6=True)


class PortRange:
    """Gives aioice ports of a range, for the whole process, until `release`."""

    def __init__(self, ports: range) -> None:
        """Give these."""
        self._ports, self._next = ports, 0
        vars(aioice.ice)["asyncio"] = _Asyncio(self)

    def __str__(self) -> str:
        return f"{self._ports.start}-{self._ports.stop - 1}"

    def release(self) -> None:
        """Let aioice bind to any port again."""
        vars(aioice.ice)["asyncio"] = asyncio

    async def bind(
        self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], Any], address: str
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """Open a socket at the first port that is free, after the one that was given last.

        Raises:
            OSError: If there is none.
        """
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            try:
                return await loop.create_datagram_endpoint(protocol, local_addr=(address, port))
            except OSError:
                continue
        raise OSError(f"every port of {self} at {address} is taken")


class _Asyncio:
    """asyncio, but for the loop."""

    def __init__(self, ports: PortRange) -> None:
        self._ports = ports

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_running_loop(self) -> "_Loop":
        return _Loop(asyncio.get_running_loop(), self._ports)


class _Loop:
    """An event loop, but for where it binds sockets for which any port would do."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ports: PortRange) -> None:
        self._loop, self._ports = loop, ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_datagram_endpoint(
        self, protocol: Callable[[], Any], local_addr: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, Any]:
        return await self._ports.bind(self._loop, protocol, local_addr[0])
