"""Logins of browsers by random id, in memory; the servers of a cluster share them."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from hashlib import sha256

from stream.clock import boottime

_MAX_LOGINS = 1000
_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Login:
    """A browser that is logged in."""

    key: bytes
    """Hash of its id, which itself is not stored."""
    token_digest: bytes
    network: str
    """The client's network."""
    expires_at: float
    """On the clock `boottime`."""


class Logins:
    """Logins of browsers by random id, up to 1000 for each token.

    Beyond that, and beyond an address's share of them, the oldest are removed: so viewers cannot
    log out an admin, nor one address all others. The token itself is not stored. An id becomes
    invalid when it expires, when the browser logs out, and when its token changes.
    """

    def __init__(self, clock: Callable[[], float] = boottime) -> None:
        """Start without logins; by default they expire while the machine is suspended, too."""
        self._clock = clock
        self._logins: OrderedDict[bytes, Login] = OrderedDict()
        self.on_added: Callable[[Login], None] = lambda login: None
        """Called with each new login."""
        self.on_removed: Callable[[bytes], None] = lambda key: None
        """Called with the key of each login that was removed before it expired."""

    def __len__(self) -> int:
        return len(self._logins)

    def add(self, token_digest: bytes, lifetime_s: float, network: str, share: float) -> str:
        """Return a new id for a token.

        Args:
            token_digest: The token's digest.
            lifetime_s: Seconds until it expires.
            network: The client's network.
            share: The largest share of the token's logins that a network may have, 0..1.
        """
        of_token = [each for each in self._logins.values() if each.token_digest == token_digest]
        of_network = [each for each in of_token if each.network == network]
        if len(of_network) >= max(1, int(_MAX_LOGINS * share)):
            self._remove(of_network[0].key)
        elif len(of_token) >= _MAX_LOGINS:
            self._remove(of_token[0].key)
        login_id = secrets.token_urlsafe(_ID_BYTES)
        login = Login(_key(login_id), token_digest, network, self._clock() + lifetime_s)
        self._logins[login.key] = login
        self.on_added(login)
        return login_id

    def find(self, login_id: str) -> bytes | None:
        """Return the token's digest, or None if the id is unknown or expired."""
        login = self._logins.get(_key(login_id))
        if login is None:
            return None
        if self._clock() >= login.expires_at:
            del self._logins[login.key]
            return None
        return login.token_digest

    def keep(self, token_digests: Container[bytes]) -> None:
        """Invalidate the ids of all other tokens."""
        for login in list(self._logins.values()):
            if login.token_digest not in token_digests:
                self._remove(login.key)

    def remove(self, login_id: str) -> None:
        """Invalidate an id."""
        self._remove(_key(login_id))

    def replace(self, logins: Iterable[Login]) -> None:
        """Take over the logins of the cluster, the oldest first, in place of all."""
        self._logins = OrderedDict((login.key, login) for login in logins)

    def _remove(self, key: bytes) -> None:
        if self._logins.pop(key, None):
            self.on_removed(key)


def _key(login_id: str) -> bytes:
    return sha256(login_id.encode(errors="replace")).digest()
