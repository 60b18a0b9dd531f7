"""Something of every address that was heard of lately, and of no more than so many."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")

_IPV6_PREFIX = 64
"""What one customer has of IPv6 at least (RFC 6177): addresses within it cost nothing."""


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
