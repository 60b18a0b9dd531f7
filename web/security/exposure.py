"""By which addresses and names the server can be reached.

Whether the server may be started as it is set: nobody is let in by mistake.
"""

import ipaddress
import logging
import socket
import stat
from pathlib import Path

from stream.ice import machine_addresses
from stream.settings import is_loopback
from web.settings import ServerSettings, SettingsError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = ("0.0.0.0", "::")

logger = logging.getLogger(__name__)


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


def warn_of_readers(config: Path, settings: ServerSettings) -> None:
    """Say so if other users of the machine can read a token that stands in the configuration."""
    access = settings.access
    others = config.stat().st_mode & stat.S_IROTH
    if others and (access.admin_token or access.viewer_token):
        logger.warning("every user of this machine can read the token in %s: chmod 600", config)


def check_exposure(settings: ServerSettings) -> None:
    """Refuse to be reached from elsewhere without a lock.

    Raises:
        SettingsError: If others could reach the server and nothing was said of who may.
    """
    access = settings.access
    if access.tokens or access.open or not is_exposed(settings):
        return
    place = "under the names in [access] hosts" if settings.access.hosts else f"on {settings.host}"
    raise SettingsError(
        f"{place} others can reach the server, and it has no token to ask for.\n"
        "Make one and start again:\n"
        "    umask 077; openssl rand -hex 24 > admin.token\n"
        "    SIGHTLINE_ACCESS__ADMIN_TOKEN_FILE=admin.token python server.py ...\n"
        "or write it into the configuration: admin_token_file, in the table [access].\n"
        "To let everyone in who can reach it, say so: --open"
    )
