"""Tickets: signed permissions with which a server of a cluster sends a client to another one.

A browser has no cookie for the other server, and does not send a token to it after a redirect. The
ticket is in the URL instead: it is valid for one path, and for half a minute.
"""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256

from aiohttp import web

TICKET_PARAMETER = "ticket"
"""The parameter of the query that contains a ticket."""

LIFETIME_S = 30.0
_MAX_SKEW_S = 30.0
"""How far the clocks of two servers may differ."""

_MAX_LENGTH = 1000


class Tickets:
    """Issues and checks tickets."""

    def __init__(self, secret: Callable[[], str | None], clock: Callable[[], float] = time.time):
        """Sign with a secret that all servers know.

        Args:
            secret: Returns it; None while it is unknown, and no ticket is valid.
            clock: Returns the time in seconds since the Unix epoch.
        """
        self._secret, self._clock = secret, clock

    def issue(self, role: str, path: str, lifetime_s: float = LIFETIME_S) -> str | None:
        """Return a ticket for a path; None while the secret is unknown."""
        if (secret := self._secret()) is None:
            return None
        now = self._clock()
        issued = {"role": role, "path": path, "from": round(now), "to": round(now + lifetime_s)}
        body = json.dumps(issued, separators=(",", ":")).encode()
        return f"{_encode(body)}.{_encode(_sign(secret, body))}"

    def role(self, ticket: str, path: str) -> str | None:
        """Return the role of whoever has the ticket at a path; None if it is not valid."""
        secret, (text, _, signature) = self._secret(), ticket.partition(".")
        if secret is None or len(ticket) > _MAX_LENGTH:
            return None
        try:
            body, signed = _decode(text), _decode(signature)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(_sign(secret, body), signed):
            return None
        issued = json.loads(body)
        is_now = issued["from"] - _MAX_SKEW_S <= self._clock() <= issued["to"] + _MAX_SKEW_S
        role: str = issued["role"]
        return role if is_now and issued["path"] == path else None


TICKETS = web.AppKey("tickets", Tickets)
"""Absent unless the server belongs to a cluster."""


def _sign(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), b"ticket:" + body, sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
