"""The server's URL as clients see it, which differs from the request's behind a reverse proxy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from web.security.client_address import Networks, is_within

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~-]{1,100}){0,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """Scheme, host and path prefix under which a client reaches the server."""

    scheme: str | None
    """`http` or `https`; None if a proxy that is not trusted may have ended TLS."""
    host: str
    """Host name or address, with the port unless it is the scheme's default; as sent, unchecked."""
    prefix: str = ""
    """What precedes the server's paths, such as `/captions`; without a slash at the end."""

    @property
    def host_name(self) -> str:
        """The host without its port, in lower case; empty if it is malformed."""
        parts = split_origin(f"http://{self.host}")
        return parts[1] if parts else ""

    def has_origin(self, origin: str) -> bool:
        """Whether this URL is in an origin; default ports may be given or left out."""
        parts = split_origin(origin)
        if parts is None or self.scheme not in (None, parts[0]):
            return False
        return parts == split_origin(f"{parts[0]}://{self.host}")


PUBLIC_URL = web.RequestKey("public URL", PublicUrl)
"""Set on each request by `origin_middleware`."""


def public_url_of(request: web.Request) -> PublicUrl:
    """Return the public URL, or that of the request before the middleware has run."""
    return request.get(PUBLIC_URL) or find_public_url(request, ())


def find_public_url(request: web.Request, proxies: Networks) -> PublicUrl:
    """Find the URL that the client used.

    A trusted proxy sends it in X-Forwarded-Host, X-Forwarded-Proto and X-Forwarded-Prefix. Of
    several values the last one counts: the others may be forged.
    """
    scheme, host, prefix = "https" if request.secure else None, _host(request), ""
    if is_within(request.remote or "", proxies):
        forwarded_scheme = _forwarded(request, "X-Forwarded-Proto").lower()
        if forwarded_scheme in _DEFAULT_PORTS:
            scheme = forwarded_scheme
        host = _forwarded(request, "X-Forwarded-Host") or host
        prefix = _forwarded(request, "X-Forwarded-Prefix").rstrip("/")
        if not _PREFIX.fullmatch(prefix):
            prefix = ""
    return PublicUrl(scheme, host, prefix)


def split_origin(text: str) -> tuple[str, str, int] | None:
    """Split a URL into scheme, host name and port; None if it is malformed or not HTTP."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, _DEFAULT_PORTS[parts.scheme] if port is None else port


def _host(request: web.Request) -> str:
    # Unlike `request.host`, which looks up this machine's name if the header is missing.
    return request.headers.get("Host", "")


def _forwarded(request: web.Request, name: str) -> str:
    values: Sequence[str] = request.headers.getall(name, [])
    return ",".join(values).rpartition(",")[2].strip()
