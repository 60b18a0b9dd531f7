"""The browsers that are logged in: so many, for so long."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST = 1000
_ID_BYTES = 32


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
