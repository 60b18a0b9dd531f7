"""Which addresses media may use: those of the address that the server is bound to.

aioice asks `get_host_addresses` for its host candidates and has no setting for it; it also leaves
the loopback address out, which is the only one that a server bound to it should offer.
"""

import logging
import re
from itertools import islice

import aioice.ice

from stream.hosts import is_address, is_loopback
from stream.ice_ports import PortRange
from stream.sdp_fragment import CANDIDATE, MOST_CANDIDATES, FragmentError, is_usable, read_candidate

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
