"""Access control: roles, tokens, logins by cookie, and the middleware that checks every request."""

import hmac
import math
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Self, TypeVar
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.quota import Owner
from stream.rate_limit import RateLimit
from stream.settings import is_loopback
from web.errors import accepts_html, error_response
from web.security.client_address import AddressTable, address_of, client_network
from web.security.limits import LIMITS
from web.security.logins import Logins
from web.security.public_url import public_url_of
from web.security.shared_logins import SharedLogins
from web.security.ticket import TICKET_PARAMETER, TICKETS
from web.settings import AccessSettings

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Awaitable[web.StreamResponse]])

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Sightline"', "Cache-Control": "no-store"}
"""Headers of a 401 response."""

_FAILURES_PER_S = 1 / 10
_FAILURES_BURST = 10
_MAX_ADDRESSES = 10_000
_SERVER_DIGITS = 8


class Role(StrEnum):
    """What a client may do; the values are the roles' names in the HTTP API."""

    VIEWER = "viewer"
    """Watch feeds and published sessions; read their captions, frames and history."""
    CAPTIONS = "captions"
    """Request captions of images, and nothing else; for programs."""
    ADMIN = "admin"
    """Do what the other roles may; start sessions of its own, publish, send by WHIP, analyse, and
    delete."""

    def includes(self, required: "Role") -> bool:
        """Whether this role may do what another one may."""
        return self in (required, Role.ADMIN)


ROLE: web.RequestKey[Role | None] = web.RequestKey("role", Role | None)  # type: ignore[arg-type]
"""The client's role, set on each request by `access_middleware`."""

CROSS_ORIGIN = web.RequestKey("cross origin", bool)
"""Set by `origin_middleware` if a page of another site sent the request: it needs a valid token,
and a cookie or an open server do not count."""

ANALYSIS_ROLE = Role.ADMIN
"""Required for analyses, since each occupies the captioner for about a minute."""


_NEEDED = {
    Role.VIEWER: "this requires the viewer token or the admin token",
    Role.CAPTIONS: "this requires the caption token or the admin token",
    Role.ADMIN: "this requires the admin token",
}

_required_roles: dict[object, Role | None] = {}


def admin_only(handler: AnyHandler) -> AnyHandler:
    """Require the admin role for a handler."""
    _required_roles[handler] = Role.ADMIN
    return handler


def captions_only(handler: AnyHandler) -> AnyHandler:
    """Require the captions role, or the admin role, for a handler."""
    _required_roles[handler] = Role.CAPTIONS
    return handler


def public(handler: AnyHandler) -> AnyHandler:
    """Allow everyone to call a handler; handlers without a decorator require the viewer role."""
    _required_roles[handler] = None
    return handler


class TooManyFailures(Exception):
    """An address has sent too many wrong tokens."""

    retry_after_s = math.ceil(1 / _FAILURES_PER_S)


class TokenForPrograms(Exception):
    """The token allows nothing that a browser shows."""


class AccessControl:
    """Determines the role of a request from its token or its login cookie."""

    def __init__(self, settings: AccessSettings) -> None:
        """Start without logins."""
        self.logins = Logins()
        self._failures = _failure_table()
        # Pages of other sites can make a browser send wrong tokens. They must not lock out the
        # people at its address.
        self._cross_origin_failures = _failure_table()
        self.cookie_scope = ""
        """What the servers whose logins are the same have in common; empty for this server alone.
        """
        self.on_failure: Callable[[str, bool], None] = lambda network, cross_origin: None
        """Called with the network of each wrong token, and whether a page of another site sent it.
        """
        self.configure(settings)

    def configure(self, settings: AccessSettings) -> None:
        """Apply new settings; logins stay valid if their token does."""
        self._settings = settings
        pairs = (
            (settings.admin, Role.ADMIN),
            (settings.viewer, Role.VIEWER),
            (settings.caption, Role.CAPTIONS),
        )
        self._roles = {_digest(token): role for token, role in pairs if token}
        self.logins.keep(self._roles)

    @property
    def has_tokens(self) -> bool:
        """Whether any token is configured."""
        return bool(self._roles)

    @property
    def anonymous_role(self) -> Role | None:
        """The role of a client without a token or login.

        `check_exposure` keeps a server without tokens from being reachable by others unnoticed.
        """
        if not self._roles:
            return Role.ADMIN
        return Role.VIEWER if self._settings.open else None

    def authenticate(self, request: web.Request) -> Role | None:
        """Return the role of a request.

        Raises:
            TooManyFailures: If the address has sent too many wrong tokens.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if self.has_tokens and scheme.lower() == "bearer":
            return self._check_token(token.strip(), request)
        if request.get(CROSS_ORIGIN):
            return None
        digests = [self.logins.find(id_) for id_ in self._login_ids(request)]
        roles = [self._roles[digest] for digest in digests if digest in self._roles]
        return roles[0] if roles else self.anonymous_role

    def has_unknown_login(self, request: web.Request) -> bool:
        """Whether a browser sends a login that this server does not know."""
        ids = self._login_ids(request)
        return bool(ids) and not any(self.logins.find(id_) for id_ in ids)

    def count_failure(self, network: str, cross_origin: bool) -> None:
        """Count a wrong token that another server has received."""
        self._failures_of(cross_origin)[network].take()

    def log_in(self, token: str, request: web.Request, response: web.StreamResponse) -> Role | None:
        """Set a login cookie for a valid token; return its role, or None for a wrong token.

        Raises:
            TooManyFailures: If the address has sent too many wrong tokens.
            TokenForPrograms: If it is the caption token.
        """
        role = self._check_token(token, request)
        if role is Role.CAPTIONS:
            raise TokenForPrograms("this token is for programs; log in with another one")
        if role is not None:
            lifetime_s, cookie = int(self._settings.login_s), _Cookie.of(request)
            network, share = client_network(address_of(request)), request.app[LIMITS].settings.share
            response.set_cookie(
                cookie.name,
                self.logins.add(_digest(token), lifetime_s, network, share),
                max_age=lifetime_s,
                path=cookie.path,
                httponly=True,
                samesite="Strict",
                secure=cookie.secure,
            )
        return role

    def log_out(self, request: web.Request, response: web.StreamResponse) -> None:
        """Invalidate the login and delete the browser's cookie."""
        cookie = _Cookie.of(request)
        for login_id in self._login_ids(request):
            self.logins.remove(login_id)
        response.del_cookie(
            cookie.name,
            path=cookie.path,
            httponly=True,
            samesite="Strict",
            secure=cookie.secure or None,
        )

    def _check_token(self, token: str, request: web.Request) -> Role | None:
        cross_origin = bool(request.get(CROSS_ORIGIN))
        failures = self._failures_of(cross_origin)[address_of(request)]
        if not failures.remaining():
            raise TooManyFailures
        given, found = _digest(token), None
        # All tokens are compared in constant time, so that timing reveals nothing.
        for digest, role in self._roles.items():
            if hmac.compare_digest(digest, given):
                found = role
        if found is None:
            failures.take()
            self.on_failure(client_network(address_of(request)), cross_origin)
        return found

    def _failures_of(self, cross_origin: bool) -> AddressTable[RateLimit]:
        return self._cross_origin_failures if cross_origin else self._failures

    def _login_ids(self, request: web.Request) -> list[str]:
        """Return the ids in the browser's cookies, one of before it was in a cluster included."""
        names = {_Cookie.of(request).name, _Cookie.of(request, alone=True).name}
        return [id_ for name in sorted(names) if (id_ := request.cookies.get(name))]


def _failure_table() -> AddressTable[RateLimit]:
    return AddressTable(lambda: RateLimit(_FAILURES_PER_S, burst=_FAILURES_BURST), _MAX_ADDRESSES)


ACCESS = web.AppKey("access", AccessControl)

SHARED_LOGINS = web.AppKey("shared logins", SharedLogins)
"""Absent unless the server belongs to a cluster."""


def owner_of(request: web.Request) -> Owner:
    """Return whose use of a limited resource a request is.

    Without tokens, where everyone is an admin, only clients on this machine count as one.
    """
    address = address_of(request)
    is_admin = request[ROLE] is Role.ADMIN and (
        request.app[ACCESS].has_tokens or is_loopback(address)
    )
    return Owner(client_network(address), is_admin, request.app[LIMITS].settings.share)


@web.middleware
async def access_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set `request[ROLE]`, and reject the request if the handler requires a higher role."""
    access, role = request.app[ACCESS], _ticket_role(request)
    if role is None:
        shared = request.app.get(SHARED_LOGINS)
        if shared and access.has_unknown_login(request):
            await shared.refresh()
        try:
            role = access.authenticate(request)
        except TooManyFailures as error:
            return too_many_failures_response(error)
    request[ROLE] = role
    if role is None and request.get(CROSS_ORIGIN):
        message = "pages of other sites need a valid token; send Authorization: Bearer TOKEN"
        return error_response(401, "no-token", message, CHALLENGE)
    required = _required_role(request)
    if required is None or (role is not None and role.includes(required)):
        return await handler(request)
    if role is not None:
        return error_response(403, "not-allowed", _NEEDED[required])
    if accepts_html(request):
        raise web.HTTPSeeOther(_login_url(request))
    message = "a token is required; send Authorization: Bearer TOKEN"
    if "Authorization" in request.headers:
        message = "the token is wrong; send a token of this server as Authorization: Bearer TOKEN"
    return error_response(401, "no-token", message, CHALLENGE)


def _ticket_role(request: web.Request) -> Role | None:
    tickets, ticket = request.app.get(TICKETS), request.query.get(TICKET_PARAMETER)
    role = tickets.role(ticket, request.path) if tickets and ticket else None
    return Role(role) if role else None


def too_many_failures_response(error: TooManyFailures) -> web.Response:
    """Build the 429 response with Retry-After."""
    return error_response(
        429,
        "too-many-failures",
        "too many wrong tokens from this address; try again later",
        {"Retry-After": str(error.retry_after_s)},
    )


def _required_role(request: web.Request) -> Role | None:
    if request.match_info.http_exception is not None:
        # A 404 or 405 reveals nothing.
        return None
    handler: Any = request.match_info.handler
    return _required_roles.get(getattr(handler, "__func__", handler), Role.VIEWER)


def _login_url(request: web.Request) -> str:
    """Return the URL of the login page, relative to the request's: a proxy may add a prefix."""
    path = request.rel_url.raw_path
    here = request.path_qs.removeprefix("/")
    query = f"?next={quote(here)}" if here else ""
    return f"{'../' * (path.count('/') - 1)}login{query}"


def _digest(token: str) -> bytes:
    """Return a hash to compare tokens by; its length does not depend on the token's."""
    return sha256(token.encode(errors="replace")).digest()


@dataclass(frozen=True, slots=True)
class _Cookie:
    """The login cookie's name and scope."""

    name: str
    path: str
    secure: bool

    @classmethod
    def of(cls, request: web.Request, *, alone: bool = False) -> Self:
        """Return the cookie of the server under the URL that the client uses.

        Cookies are shared by all ports of a host (RFC 6265, section 8.5), and proxies put several
        servers under one, so the name differs by machine and port; except that the servers of a
        cluster have the same, unless `alone`.
        """
        url = public_url_of(request)
        port = (request.get_extra_info("sockname") or ("", 0))[1]
        cluster = "" if alone else request.app[ACCESS].cookie_scope
        scope = cluster or f"{socket.gethostname()}:{port}"
        server = sha256(scope.encode()).hexdigest()[:_SERVER_DIGITS]
        secure = url.scheme == "https"
        # Browsers accept cookies with these prefixes over HTTPS only; the first only from the host
        # itself and for all its paths (RFC 6265bis, section 4.1.3).
        prefix = ("__Secure-" if url.prefix else "__Host-") if secure else ""
        return cls(f"{prefix}sightline-{server}", url.prefix or "/", secure)
