"""The address that a request came from, seen past the proxies that may be trusted to tell it.

Something of every address that was heard of lately, and of no more than so many.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Generic, TypeVar

from aiohttp import web

Networks = Sequence[IPv4Network | IPv6Network]

ADDRESS = web.RequestKey("address", str)
"""Of a request that has come past the limits' middleware: see `find_address`."""

_FORWARDED = "X-Forwarded-For"

Kept = TypeVar("Kept")

_IPV6_PREFIX = 64
"""What one customer has of IPv6 at least (RFC 6177): addresses within it cost nothing."""


def address_of(request: web.Request) -> str:
    """Return the address that the limits' middleware found, or the connection's other end."""
    return request.get(ADDRESS) or request.remote or ""


def find_address(request: web.Request, proxies: Networks) -> str:
    """Find who asks.

    A proxy adds the address that it was asked from to the end of X-Forwarded-For, and anyone may
    have written what is before it: the list is read from its end, as far as proxies wrote it.
    """
    address = request.remote or ""
    forwarded = ",".join(request.headers.getall(_FORWARDED, [])).split(",")
    while is_within(address, proxies) and forwarded:
        told = forwarded.pop().strip()
        if not _is_address(told):
            break
        address = told
    return address


def is_within(address: str, networks: Networks) -> bool:
    """Whether an address is in one of the networks."""
    if not _is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class AddressTable(Generic[Kept]):
    """Makes an entry for an address when it is first asked for; the longest unused one goes."""

    def __init__(self, make: Callable[[], Kept], most: int) -> None:
        """Keep at most so many entries."""
        self._make, self._most = make, most
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, address: str) -> Kept:
        key = party(address)
        if key not in self._kept:
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            self._kept[key] = self._make()
        self._kept.move_to_end(key)
        return self._kept[key]

    def drop(self, address: str) -> None:
        """Forget an address."""
        self._kept.pop(party(address), None)


def party(address: str) -> str:
    """Say who has the address: an IPv4 address, or an IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
