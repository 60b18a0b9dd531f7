"""Which addresses media may use: those of the address that the server is bound to.

aioice asks `get_host_addresses` for its host candidates and has no setting for it; it also leaves
the loopback address out, which is the only one that a server bound to it should offer.
"""

import ipaddress
import re

import aioice.ice

_ANY = ("0.0.0.0", "::")
_CANDIDATE = re.compile(r"^a=candidate:\S+ \d+ \S+ \d+ (?P<address>\S+) \d+ .*\r?\n?", re.M)
# Port 9 discards. A browser's checks arrive by themselves and are answered (RFC 8445, 7.3.1.3),
# but aioice gives up at once when it has no candidate to check.
_PLACEHOLDER = "a=candidate:0 1 UDP 1 {address} 9 typ host\r\n"
_every_address = aioice.ice.get_host_addresses


class MediaAddresses:
    """Holds media to the bound address, for the whole process, until `release`."""

    def __init__(self, host: str) -> None:
        """Take the address that the server is bound to; `localhost` is the loopback."""
        address = "127.0.0.1" if host == "localhost" else host
        self._everywhere = address in _ANY
        self._address = address
        self._loopback = not self._everywhere and ipaddress.ip_address(address).is_loopback
        aioice.ice.get_host_addresses = self._host_addresses

    def release(self) -> None:
        """Let aioice find every address again."""
        aioice.ice.get_host_addresses = _every_address

    def admit(self, sdp: str) -> str:
        """Drop an offer's candidates that a loopback server must not send to.

        That is every one that is not on the loopback, names resolved by multicast DNS included.
        """
        if not self._loopback:
            return sdp
        return _CANDIDATE.sub(self._replace, sdp)

    def _replace(self, line: re.Match[str]) -> str:
        try:
            if ipaddress.ip_address(line["address"]).is_loopback:
                return line[0]
        except ValueError:
            pass
        return _PLACEHOLDER.format(address=self._address)

    def _host_addresses(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        if not self._everywhere:
            return [self._address]
        return ["127.0.0.1", *_every_address(use_ipv4, use_ipv6)]
