"""The tables of the history in PostgreSQL."""

from typing import Any

import psycopg
from psycopg import sql

from stream.history import HistoryError
from stream.history.postgres.connection import SCHEMA

_SCHEMA_VERSION = 2
"""Version of the tables. Before version 2 there were no pictures."""

SCHEMA_LOCK = 0x53_4C_48_31
"""Key of the advisory lock of whoever changes tables: "SLH1", as in a file's `application_id`."""

RETENTION_LOCK = SCHEMA_LOCK + 1
"""Key of the advisory lock of whoever deletes old spans."""

COLUMNS = "id, feed, ended, captions, text, guess, fallback, said, confidence, tags, words"
"""Columns of the table `spans`; `said` is null if it equals the text, to save space."""

_TABLES = """
CREATE TABLE version (version integer NOT NULL);
CREATE TABLE spans (
  id bigint PRIMARY KEY,
  ended double precision NOT NULL,
  captions integer NOT NULL,
  confidence double precision,
  feed text COLLATE "C" NOT NULL,
  text text NOT NULL,
  guess text NOT NULL,
  fallback text,
  said text,
  tags text NOT NULL,
  words tsvector NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX spans_of_feed ON spans (feed, id);
CREATE INDEX spans_words ON spans USING gin (words) WITH (fastupdate = off);
CREATE TABLE misdated (id bigint PRIMARY KEY, noticed double precision NOT NULL);
"""
"""Spans are partitioned by time, see `Partitions`. Without `fastupdate` no search has to read a
list of new words that are not in the index yet. `misdated` holds the spans that are dated ahead of
the clock, and when that was noticed."""

_PICTURES = """
CREATE TABLE pictures (
  span bigint NOT NULL,
  size integer NOT NULL,
  maps text NOT NULL,
  image bytea NOT NULL,
  PRIMARY KEY (span) INCLUDE (size)
);
ALTER TABLE pictures ALTER COLUMN image SET STORAGE EXTERNAL;
CREATE FUNCTION delete_picture() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM sightline_history.pictures WHERE span = old.id;
  RETURN NULL;
END $$;
CREATE TRIGGER pictures_of_old AFTER DELETE ON spans
FOR EACH ROW EXECUTE FUNCTION delete_picture();
"""
"""No foreign key: partitions whose spans are referenced could not be dropped. Whoever drops one
must delete its pictures, see `Partitions`; each partition inherits the trigger."""


_FIRINGS = """
CREATE TABLE IF NOT EXISTS firings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rule text COLLATE "C" NOT NULL,
  feed text COLLATE "C" NOT NULL,
  began double precision NOT NULL,
  ended double precision,
  message text NOT NULL,
  caption text NOT NULL,
  words text NOT NULL,
  UNIQUE (rule, feed, began)
);
"""
"""Firings of rules; versions without this table ignore it."""


def prepare_schema(connection: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    """Create the tables if they do not exist, or update those of an older version.

    Servers that start at the same time wait for each other.

    Args:
        connection: The connection; its `search_path` is the schema.
        name: Which database it is, for messages.

    Raises:
        HistoryError: If the tables are of a newer version, or not those of a history.
        psycopg.Error: If the database fails.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        ((exists, version_exists),) = connection.execute(
            "SELECT to_regnamespace(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL",
            (SCHEMA, f"{SCHEMA}.version"),
        ).fetchall()
        if not exists:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
            connection.execute(_TABLES)
            connection.execute(_FIRINGS)
            connection.execute(_PICTURES)
            connection.execute("INSERT INTO version VALUES (%s)", (_SCHEMA_VERSION,))
            return
        row = version_exists and connection.execute("SELECT version FROM version").fetchone()
        if not row:
            raise HistoryError(
                f"the schema {SCHEMA} of {name} is not a history; configure another database"
            )
        (version,) = row
        if version > _SCHEMA_VERSION:
            raise HistoryError(
                f"the history in {name} was created by a newer Sightline (schema version "
                f"{version}, supported is {_SCHEMA_VERSION}); use that one, or configure another "
                "database"
            )
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute(_FIRINGS)
        if version < 2:
            connection.execute(_PICTURES)
        if version < _SCHEMA_VERSION:
            connection.execute("UPDATE version SET version = %s", (_SCHEMA_VERSION,))
