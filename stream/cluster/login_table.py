"""The logins of browsers in the cluster's database: hashed ids, which are valid on all servers."""

from collections.abc import Sequence
from typing import NamedTuple

from stream.cluster.connection import DatabaseConnection
from stream.cluster.schema import CHANNEL

_NOTICE = '{"kind": "logins"}'
_MAX_LOGINS = 10_000

_ADD = """
WITH added AS (
    INSERT INTO cluster_logins (id, token_digest, network, expires)
    SELECT id, digest, network, clock_timestamp() + make_interval(secs => left_s)
    FROM unnest(%s::bytea[], %s::bytea[], %s::text[], %s::float[])
        AS new (id, digest, network, left_s)
    ON CONFLICT (id) DO NOTHING
), old AS (
    DELETE FROM cluster_logins WHERE expires < clock_timestamp()
)
SELECT pg_notify(%s, %s)
"""
_REMOVE = """
WITH removed AS (DELETE FROM cluster_logins WHERE id = ANY(%s::bytea[]))
SELECT pg_notify(%s, %s)
"""
_LOAD = """
SELECT id, token_digest, network, extract(epoch FROM expires - clock_timestamp())::float
FROM cluster_logins WHERE expires > clock_timestamp() ORDER BY created LIMIT %s
"""


class StoredLogin(NamedTuple):
    """A login, as the database has it."""

    key: bytes
    """Hash of its id."""
    token_digest: bytes
    network: str
    left_s: float
    """Seconds until it expires; so the clocks of the machines do not matter."""


class LoginTable:
    """Reads and writes the logins; each method raises `DatabaseUnavailable`."""

    def __init__(self, connection: DatabaseConnection) -> None:
        """Use a connection."""
        self._connection = connection

    async def add(self, logins: Sequence[StoredLogin]) -> None:
        """Add logins, and notify all servers."""
        columns = [list(column) for column in zip(*logins, strict=True)]
        await self._connection.fetch(_ADD, (*columns, CHANNEL, _NOTICE))

    async def remove(self, keys: Sequence[bytes]) -> None:
        """Remove logins, and notify all servers."""
        await self._connection.fetch(_REMOVE, (list(keys), CHANNEL, _NOTICE))

    async def load(self) -> list[StoredLogin]:
        """Return all logins that have not expired, the oldest first."""
        rows = await self._connection.fetch(_LOAD, (_MAX_LOGINS,))
        return [StoredLogin(bytes(key), bytes(digest), *rest) for key, digest, *rest in rows]
