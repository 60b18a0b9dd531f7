"""The cluster's tables: who is a member, who holds what, and the captions of the last minutes."""

import secrets
from dataclasses import dataclass
from typing import LiteralString

from psycopg import AsyncConnection

from stream.cluster.connection import DatabaseUnavailable

CHANNEL = "sightline_cluster"
"""Where servers notify each other; see `Notice`."""

_VERSION = 1
_LOCK = 7_305_412_094
"""Key of the advisory lock under which the tables are created."""

_SECRET_BYTES = 32
_ID_BYTES = 8

_TABLES: LiteralString = """
CREATE TABLE IF NOT EXISTS cluster_identity (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version integer NOT NULL,
    id text NOT NULL,
    secret text NOT NULL
);
CREATE TABLE IF NOT EXISTS cluster_servers (
    id text PRIMARY KEY,
    url text NOT NULL,
    feeds text[] NOT NULL,
    viewers jsonb NOT NULL,
    joined timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat timestamptz NOT NULL
);
CREATE SEQUENCE IF NOT EXISTS cluster_tokens;
CREATE TABLE IF NOT EXISTS cluster_leases (
    name text PRIMARY KEY,
    server text NOT NULL,
    token bigint NOT NULL,
    expires timestamptz NOT NULL,
    report jsonb
);
CREATE TABLE IF NOT EXISTS cluster_events (
    origin text NOT NULL,
    seq bigint NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    stream text NOT NULL,
    token bigint NOT NULL,
    body text NOT NULL,
    age double precision NOT NULL,
    written timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (origin, seq)
);
CREATE UNIQUE INDEX IF NOT EXISTS cluster_events_by_position ON cluster_events (position);
CREATE INDEX IF NOT EXISTS cluster_events_by_time ON cluster_events (written);
CREATE TABLE IF NOT EXISTS cluster_sinks (
    name text PRIMARY KEY,
    token bigint NOT NULL,
    cursors jsonb NOT NULL
);
CREATE TABLE IF NOT EXISTS cluster_logins (
    id bytea PRIMARY KEY,
    token_digest bytea NOT NULL,
    network text NOT NULL,
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires timestamptz NOT NULL
);
"""


class NewerSchema(DatabaseUnavailable):
    """A newer version of the server has created the tables."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What all servers of a cluster have in common."""

    id: str
    """Unique to the cluster, and public."""
    secret: str
    """Known to its servers only; it signs tickets."""


async def create_tables(connection: AsyncConnection) -> Identity:
    """Create the tables that are missing; return the cluster's identity.

    Raises:
        NewerSchema: If the tables are those of a newer version.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(_TABLES)
        cursor = await connection.execute(
            "INSERT INTO cluster_identity (version, id, secret) VALUES (%s, %s, %s) "
            "ON CONFLICT (singleton) DO UPDATE SET singleton = true RETURNING version, id, secret",
            (_VERSION, secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)),
        )
        row = await cursor.fetchone()
    assert row
    version, id_, secret = row
    if version > _VERSION:
        raise NewerSchema("the cluster's tables are of a newer version; update this server")
    return Identity(id_, secret)
