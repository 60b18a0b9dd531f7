"""Logins that are valid on all servers of a cluster: kept in memory, and shared by the database.

A request costs no query. While the database is away, those that are known stay valid, and what
changes is written later.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from stream.clock import boottime
from stream.rate_limit import RateLimit
from web.security.logins import Login, Logins

if TYPE_CHECKING:
    from stream.cluster.login_table import LoginTable

_INTERVAL_S = 30.0
"""How often all logins are read, in case that a notification was lost."""

_RETRY_S = 1.0
_WAIT_S = 2.0
"""How long a request waits for the database."""

_MAX_WAITING = 1000
_REFRESHES_PER_S, _REFRESHES_BURST = 2, 20


class SharedLogins:
    """Keeps this server's logins and the database's the same. `run` it."""

    def __init__(self, logins: Logins, table: "LoginTable", unavailable: type[Exception]) -> None:
        """Share logins.

        Args:
            logins: Those of this server.
            table: Those of the cluster.
            unavailable: What the table raises while the database is away.
        """
        self._logins, self._table, self._unavailable = logins, table, unavailable
        self._added: dict[bytes, Login] = {}
        """Logins that the database does not have yet."""
        self._removed: dict[bytes, None] = {}
        self._due, self._is_away = asyncio.Event(), False
        self._waiting: list[asyncio.Future[None]] = []
        self._refreshes = RateLimit(_REFRESHES_PER_S, burst=_REFRESHES_BURST)
        logins.on_added, logins.on_removed = self._on_added, self._on_removed

    def hurry(self) -> None:
        """Read the logins soon: another server has changed them."""
        self._due.set()

    async def run(self) -> None:
        """Read and write changes until cancelled."""
        while True:
            self._due.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._synchronize()
            except self._unavailable:
                self._is_away = True
                await asyncio.sleep(_RETRY_S)
                self._due.set()
            else:
                self._is_away = False
            finally:
                for each in waiting:
                    if not each.done():
                        each.set_result(None)
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_S):
                    await self._due.wait()

    async def refresh(self) -> None:
        """Read the logins now, since a client has one that is unknown; waits for a short time."""
        if self._refreshes.take():
            await self.flush()

    async def flush(self) -> None:
        """Write changes now, so that other servers know them; waits for a short time."""
        if self._is_away:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._due.set()
        await asyncio.wait({done}, timeout=_WAIT_S)

    def _on_added(self, login: Login) -> None:
        self._added[login.key] = login
        while len(self._added) > _MAX_WAITING:
            del self._added[next(iter(self._added))]
        self._due.set()

    def _on_removed(self, key: bytes) -> None:
        self._added.pop(key, None)
        self._removed[key] = None
        while len(self._removed) > _MAX_WAITING:
            del self._removed[next(iter(self._removed))]
        self._due.set()

    async def _synchronize(self) -> None:
        await self._write()
        now, stored = boottime(), await self._table.load()
        logins = {each.key: Login(*each[:3], now + each.left_s) for each in stored}
        # What has changed meanwhile is not in the database yet.
        logins |= self._added
        for key in self._removed:
            logins.pop(key, None)
        self._logins.replace(logins.values())

    async def _write(self) -> None:
        from stream.cluster.login_table import StoredLogin

        if removed := list(self._removed):
            await self._table.remove(removed)
            for key in removed:
                self._removed.pop(key, None)
        if added := list(self._added.values()):
            now = boottime()
            await self._table.add(
                [
                    StoredLogin(each.key, each.token_digest, each.network, each.expires_at - now)
                    for each in added
                ]
            )
            for login in added:
                self._added.pop(login.key, None)
