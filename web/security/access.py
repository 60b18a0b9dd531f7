"""Who asks, and what they may: the roles, and the lock before every handler.

The browsers that are logged in: so many, for so long.
"""

import hmac
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.rate_limit import RateLimit
from web.errors import error
from web.security.client_address import AddressTable, address_of
from web.settings import AccessSettings

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., Awaitable[web.StreamResponse]])

_FAILURES_PER_S = 1 / 10
_MOST_ADDRESSES = 10_000
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Sightline"', "Cache-Control": "no-store"}
_MOST = 1000
_ID_BYTES = 32


class Role(IntEnum):
    """What somebody may do; a greater one may all that a lesser one may."""

    VIEWER = 1
    """Watch feeds and published sessions; read their captions, pictures and history."""
    ADMIN = 2
    """Have sessions of their own, publish, send by WHIP, analyse, and delete."""

    @property
    def label(self) -> str:
        """Its name in the HTTP interface."""
        return self.name.lower()


ROLE: web.RequestKey[Role | None] = web.RequestKey("role", Role | None)  # type: ignore[arg-type]
"""Of a request that has come past `access_middleware`: what its sender may do."""


ANALYSES_NEED = Role.ADMIN
"""An analysis takes the captioner a minute: who only watches may not ask for one."""


_needs: dict[object, Role | None] = {}


def admin_only(handler: AnyHandler) -> AnyHandler:
    """Let the handler be reached by admins only."""
    _needs[handler] = Role.ADMIN
    return handler


def public(handler: AnyHandler) -> AnyHandler:
    """Let the handler be reached by everyone; one without a mark needs a viewer at least."""
    _needs[handler] = None
    return handler


class TooManyFailures(Exception):
    """An address has shown too many tokens that are none."""

    retry_after_s = math.ceil(1 / _FAILURES_PER_S)


class Access:
    """Knows the tokens, and who has logged in."""

    def __init__(self, settings: AccessSettings, *, secure: bool = False) -> None:
        """Let in by the settings.

        Args:
            settings: The tokens.
            secure: Whether browsers come by https, so that the cookie goes by nothing else.
        """
        self._secure = secure
        # A browser takes a name with this prefix from https alone, and from no other host
        # (RFC 6265bis, 4.1.3.2).
        self.cookie = "__Host-sightline" if secure else "sightline"
        self._logins = Logins()
        self._failures = AddressTable(lambda: RateLimit(_FAILURES_PER_S, burst=10), _MOST_ADDRESSES)
        self.configure(settings)

    def configure(self, settings: AccessSettings) -> None:
        """Go by other settings from now on; who logged in by a token that stays stays in."""
        self._settings = settings
        pairs = ((settings.admin, Role.ADMIN), (settings.viewer, Role.VIEWER))
        self._roles = {_digest(token): role for token, role in pairs if token}

    @property
    def tokens(self) -> bool:
        """Whether there are tokens at all."""
        return bool(self._roles)

    @property
    def anonymous(self) -> Role | None:
        """What somebody may who shows nothing.

        That a server without tokens is reached by whom it may be is seen to at its start.
        """
        if not self._roles:
            return Role.ADMIN
        return Role.VIEWER if self._settings.open else None

    def role_of(self, request: web.Request) -> Role | None:
        """Say what who asks may do.

        Raises:
            TooManyFailures: If the address has shown too many wrong tokens.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if self.tokens and scheme.lower() == "bearer":
            return self._role_of_token(token.strip(), address_of(request))
        identity = request.cookies.get(self.cookie)
        shown = self._logins.find(identity) if identity else None
        return (self._roles.get(shown) if shown else None) or self.anonymous

    def log_in(self, token: str, request: web.Request, response: web.StreamResponse) -> Role | None:
        """Give a browser that shows a token a cookie; return its role, or None for a wrong token.

        Raises:
            TooManyFailures: If the address has shown too many wrong tokens.
        """
        role = self._role_of_token(token, address_of(request))
        if role is not None:
            lasting_s = int(self._settings.login_s)
            response.set_cookie(
                self.cookie,
                self._logins.begin(_digest(token), lasting_s),
                max_age=lasting_s,
                httponly=True,
                samesite="Strict",
                secure=self._secure,
            )
        return role

    def log_out(self, request: web.Request, response: web.StreamResponse) -> None:
        """Make the browser's cookie worthless, and take it back."""
        self._logins.end(request.cookies.get(self.cookie, ""))
        response.del_cookie(
            self.cookie, httponly=True, samesite="Strict", secure=self._secure or None
        )

    def _role_of_token(self, token: str, address: str) -> Role | None:
        failures = self._failures[address]
        if not failures.left():
            raise TooManyFailures
        shown, found = _digest(token), None
        for digest, role in self._roles.items():
            if hmac.compare_digest(digest, shown):
                found = role
        if found is None:
            failures.take()
        return found


ACCESS = web.AppKey("access", Access)


@web.middleware
async def access_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set `request[ROLE]`, and refuse whoever lacks the role that the handler needs."""
    try:
        role = request.app[ACCESS].role_of(request)
    except TooManyFailures as problem:
        return too_many_failures(problem)
    request[ROLE] = role
    needed = _needed(request)
    if needed is None or (role is not None and role >= needed):
        return await handler(request)
    if role is not None:
        return error(403, "not-allowed", "this needs the admin's token")
    if _wants_page(request):
        there = "/login" if request.path_qs == "/" else f"/login?next={quote(request.path_qs)}"
        raise web.HTTPSeeOther(there)
    return error(401, "no-token", "this needs a token: Authorization: Bearer TOKEN", CHALLENGE)


def too_many_failures(problem: TooManyFailures) -> web.Response:
    """Ask somebody who guesses to wait."""
    return error(
        429,
        "too-many-failures",
        "too many wrong tokens came from this address; wait a little",
        {"Retry-After": str(problem.retry_after_s)},
    )


def _needed(request: web.Request) -> Role | None:
    route = request.match_info.route
    if request.match_info.http_exception is not None or isinstance(
        route.resource, web.StaticResource
    ):
        # What is not there is nobody's, and the page's assets are the same for everyone.
        return None
    handler: Any = request.match_info.handler
    return _needs.get(getattr(handler, "__func__", handler), Role.VIEWER)


def _wants_page(request: web.Request) -> bool:
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")


def _digest(token: str) -> bytes:
    """What is compared: it has one length, whatever the token's."""
    return sha256(token.encode(errors="replace")).digest()


@dataclass(frozen=True, slots=True)
class _Login:
    token: bytes
    until: float


class Logins:
    """Gives a browser that showed a token an id to show instead; the oldest go first.

    The token itself stays with whoever typed it: an id is worth nothing once it has expired, the
    browser has logged out, or the token has been changed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nobody logged in."""
        self._clock = clock
        self._logins: OrderedDict[str, _Login] = OrderedDict()

    def __len__(self) -> int:
        return len(self._logins)

    def begin(self, token: bytes, lasting_s: float) -> str:
        """Return a new id for who has shown the token of this digest."""
        while len(self._logins) >= _MOST:
            self._logins.popitem(last=False)
        identity = secrets.token_urlsafe(_ID_BYTES)
        self._logins[identity] = _Login(token, self._clock() + lasting_s)
        return identity

    def find(self, identity: str) -> bytes | None:
        """Return the digest of the token that was shown for the id, while that holds."""
        login = self._logins.get(identity)
        if login is None:
            return None
        if self._clock() >= login.until:
            del self._logins[identity]
            return None
        return login.token

    def end(self, identity: str) -> None:
        """Log out."""
        self._logins.pop(identity, None)
