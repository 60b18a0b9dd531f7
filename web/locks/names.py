"""By which addresses and names the server can be reached."""

import ipaddress
import socket

from stream.hosts import is_loopback
from stream.ice import machine_addresses
from web.settings import ServerSettings

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = ("0.0.0.0", "::")


def is_exposed(settings: ServerSettings) -> bool:
    """Whether others than this machine's users can reach the server.

    One on the loopback that is given further names has something before it that lets others in.
    """
    return not is_loopback(settings.host) or not all(map(is_loopback, settings.access.hosts))


def machine_names() -> set[str]:
    """The names of this machine, as it knows itself: its own, and that of multicast DNS."""
    name = socket.gethostname().lower()
    return {name, f"{name.partition('.')[0]}.local"} if name else set()


def addresses(settings: ServerSettings) -> list[str]:
    """The addresses that the server listens on, those to open from elsewhere last."""
    if settings.host not in _ANY:
        return ["127.0.0.1" if settings.host == "localhost" else settings.host]
    every = ["127.0.0.1", *machine_addresses()]
    return [address for address in every if not is_link_local(address)]


def is_link_local(address: str) -> bool:
    """Whether an address means something on one link only; no browser takes its zone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_link_local


def certificate_names(settings: ServerSettings) -> set[str]:
    """What a certificate that the server makes has to be for."""
    names = {*_LOOPBACK, *settings.access.hosts, *addresses(settings)}
    return names | machine_names()
