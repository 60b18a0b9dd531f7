"""The address that a request came from, seen past the proxies that may be trusted to tell it."""

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from aiohttp import web

Networks = Sequence[IPv4Network | IPv6Network]

ADDRESS = web.RequestKey("address", str)
"""Of a request that has come past the limits' middleware: see `find_address`."""
_FORWARDED = "X-Forwarded-For"


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
