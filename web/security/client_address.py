"""Client addresses: seen past trusted proxies, grouped by network, and a bounded table of them."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Generic, TypeVar

from aiohttp import web

from stream.settings import is_ip_address

Networks = Sequence[IPv4Network | IPv6Network]

ADDRESS = web.RequestKey("address", str)
"""The client's address, set on each request by `limits_middleware`; see `find_address`."""

_FORWARDED = "X-Forwarded-For"

Entry = TypeVar("Entry")

_IPV6_PREFIX = 64
"""The smallest IPv6 network of one customer (RFC 6177), whose addresses cost nothing."""


def address_of(request: web.Request) -> str:
    """Return the client's address, or the connection's peer before the middleware has run."""
    return request.get(ADDRESS) or _peer_address(request)


def _peer_address(request: web.Request) -> str:
    """Return the address of the connection's peer.

    A socket for both versions of IP shows an IPv4 address as an IPv6 one (RFC 4291, 2.5.5.2).
    """
    return (request.remote or "").removeprefix("::ffff:")


def find_address(request: web.Request, proxies: Networks) -> str:
    """Find the client's address behind trusted proxies.

    A proxy appends the address of its own client to X-Forwarded-For; the entries before that may
    be forged. So the list is read from the end, for as long as the address is a trusted proxy's.
    """
    address = _peer_address(request)
    forwarded = ",".join(request.headers.getall(_FORWARDED, [])).split(",")
    while is_within(address, proxies) and forwarded:
        previous = forwarded.pop().strip()
        if not is_ip_address(previous):
            break
        address = previous
    return address


def is_within(address: str, networks: Networks) -> bool:
    """Whether an address is in one of the networks."""
    if not is_ip_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    return any(parsed in network for network in networks)


def client_network(address: str) -> str:
    """Return the key under which a client is counted: an IPv4 address, or an IPv6 /64 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))


class AddressTable(Generic[Entry]):
    """One entry per client network, created on first use; the least recently used are evicted."""

    def __init__(self, create: Callable[[], Entry], max_size: int) -> None:
        """Start empty."""
        self._create, self._max_size = create, max_size
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, address: str) -> Entry:
        key = client_network(address)
        if key not in self._entries:
            while len(self._entries) >= self._max_size:
                self._entries.popitem(last=False)
            self._entries[key] = self._create()
        self._entries.move_to_end(key)
        return self._entries[key]
