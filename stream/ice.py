"""Which addresses media may use: those of the address that the server is bound to.

aioice asks `get_host_addresses` for its host candidates and has no setting for it; it also leaves
the loopback address out, which is the only one that a server bound to it should offer.
"""

import ipaddress
import re

import aioice.ice

from stream.ice_ports import PortRange

_ANY = ("0.0.0.0", "::")
_CANDIDATE = re.compile(
    r"^a=candidate:\S+ \d+ \S+ \d+ (?P<address>\S+) (?P<port>\d+) .*\r?\n?", re.M
)
_USABLE = re.compile(
    r"^a=candidate:\S+ \d+ udp \d+ \S+ \d+ typ (host|srflx|prflx|relay)(?!\S)", re.M | re.I
)
# Port 9 discards. A browser's checks arrive by themselves and are answered (RFC 8445, 7.3.1.3),
# but aioice gives up at once when it has no candidate to check.
_PLACEHOLDER = "a=candidate:0 1 UDP 1 {address} 9 typ host\r\n"
_PORTS = 65_536
_SECTION = re.compile(r"^(?=m=)", re.M)
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
        self._loopback = not self._everywhere and ipaddress.ip_address(address).is_loopback
        aioice.ice.get_host_addresses = self._host_addresses
        self._ports = PortRange(ports) if ports else None

    def release(self) -> None:
        """Let aioice find every address and port again."""
        aioice.ice.get_host_addresses = _every_address
        if self._ports:
            self._ports.release()

    def admit(self, sdp: str) -> str:
        """Drop an offer's candidates that a loopback server must not send to.

        A section without any that is of use, of a client that will send them later or only waits to
        be answered, is given one, too.
        """
        head, *sections = _SECTION.split(_CANDIDATE.sub(self._replace, sdp))
        return head + "".join(map(self._with_candidate, sections))

    def admits(self, address: str) -> bool:
        """Whether media may be sent to an address.

        A loopback server must not send to another, names resolved by multicast DNS included.
        """
        if not self._loopback:
            return True
        try:
            return ipaddress.ip_address(address).is_loopback
        except ValueError:
            return False

    def check_gathered(self, sdp: str) -> None:
        """Check an answer of this server.

        Raises:
            NoPortFree: If it has no candidate: all ports that may be taken are.
        """
        if not _CANDIDATE.search(sdp):
            ports = f"every UDP port of {self._ports}" if self._ports else "every UDP port"
            raise NoPortFree(f"{ports} is taken")

    @property
    def _placeholder(self) -> str:
        return _PLACEHOLDER.format(address="127.0.0.1" if self._everywhere else self._address)

    def _with_candidate(self, section: str) -> str:
        if _USABLE.search(section):
            return section
        return f"{section.rstrip()}\r\n{self._placeholder}"

    def _replace(self, line: re.Match[str]) -> str:
        possible = int(line["port"]) < _PORTS
        return line[0] if possible and self.admits(line["address"]) else self._placeholder

    def _host_addresses(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        if not self._everywhere:
            return [self._address]
        return ["127.0.0.1", *_every_address(use_ipv4, use_ipv6)]


def machine_addresses() -> list[str]:
    """The machine's own addresses, without those of the loopback."""
    return _every_address(use_ipv4=True, use_ipv6=True)
