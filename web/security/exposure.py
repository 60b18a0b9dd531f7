"""Addresses and names of the server, and the check that it is not reachable without a token."""

import ipaddress
import logging
import socket
import stat
from pathlib import Path

from stream.ice import host_addresses
from stream.settings import is_loopback
from web.settings import ServerSettings, SettingsError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = ("0.0.0.0", "::")

logger = logging.getLogger(__name__)


def check_exposure(settings: ServerSettings) -> None:
    """Refuse settings that let other machines in without a token, unless that is explicit.

    Raises:
        SettingsError: If other machines can reach the server, and there is neither a token nor
            `open`.
    """
    access = settings.access
    if access.has_tokens or access.open or not is_exposed(settings):
        return
    how = "under the names in [access] hosts" if access.hosts else f"on {settings.host}"
    raise SettingsError(
        f"other machines can reach the server {how}, and it has no token.\n"
        "Create one and start again:\n"
        "    umask 077; openssl rand -hex 24 > admin.token\n"
        "    SIGHTLINE_ACCESS__ADMIN_TOKEN_FILE=admin.token python server.py ...\n"
        "Or set admin_token_file in the table [access] of the configuration file.\n"
        "To allow access without a token, use --open."
    )


def is_exposed(settings: ServerSettings) -> bool:
    """Whether other machines can reach the server.

    A server on the loopback address with further host names is behind a proxy that lets them in.
    """
    return not is_loopback(settings.host) or not all(map(is_loopback, settings.access.hosts))


def warn_if_world_readable(config: Path, settings: ServerSettings) -> None:
    """Log a warning if every user of this machine can read a token in the configuration file."""
    access = settings.access
    world_readable = config.stat().st_mode & stat.S_IROTH
    if world_readable and (access.admin_token or access.viewer_token or access.caption_token):
        logger.warning(
            "every user of this machine can read the token in %s; run chmod 600 %s", config, config
        )


def machine_names() -> set[str]:
    """Return the machine's host name, and its name in multicast DNS."""
    name = socket.gethostname().lower()
    return {name, f"{name.partition('.')[0]}.local"} if name else set()


def listen_addresses(settings: ServerSettings) -> list[str]:
    """Return the addresses that the server listens on, loopback first."""
    if settings.host not in _ANY:
        return ["127.0.0.1" if settings.host == "localhost" else settings.host]
    has_ipv4 = settings.host == "0.0.0.0" or listens_on_both(settings.host)
    has_ipv6 = settings.host == "::"
    loopback = "127.0.0.1" if has_ipv4 else "::1"
    addresses = [
        address
        for address in host_addresses()
        if (has_ipv6 if ":" in address else has_ipv4) and not _is_link_local(address)
    ]
    return [loopback, *addresses]


def listens_on_both(host: str) -> bool:
    """Whether a server bound to this address takes connections over IPv4 and IPv6."""
    return host == "::" and socket.has_dualstack_ipv6()


def certificate_names(settings: ServerSettings) -> set[str]:
    """Return the names and addresses that the server's own certificate must cover."""
    names = {*_LOOPBACK, *settings.access.hosts, *listen_addresses(settings)}
    return names | machine_names()


def _is_link_local(address: str) -> bool:
    # Browsers do not accept the zone that a link-local address needs.
    return ipaddress.ip_address(address.partition("%")[0]).is_link_local
