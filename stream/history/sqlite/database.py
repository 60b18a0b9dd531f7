"""The SQLite file of the history: created, opened and verified."""

import contextlib
import os
import sqlite3
from pathlib import Path

from stream.history import HistoryError
from stream.history.search_text import contains_words

_APPLICATION_ID = 0x53_4C_48_31
"""Marks the file as a history of Sightline (SQLite's `application_id`): "SLH1"."""

_SCHEMA_VERSION = 3
"""Version of the tables, in SQLite's `user_version`. In version 1 each span had a confidence;
before version 3 there were no pictures."""

_BUSY_TIMEOUT_MS = 5000

TOKENIZER = "porter unicode61 remove_diacritics 2"
"""How FTS5 takes texts apart: by Unicode's letters and digits, without diacritics, into stems."""

_SCHEMA = f"""
CREATE TABLE spans (
  id INTEGER PRIMARY KEY,
  feed TEXT NOT NULL,
  ended REAL NOT NULL,
  captions INTEGER NOT NULL,
  text TEXT NOT NULL,
  guess TEXT NOT NULL,
  fallback TEXT,
  said TEXT NOT NULL,
  confidence REAL,
  tags TEXT NOT NULL,
  objects TEXT NOT NULL
);
CREATE INDEX spans_of_feed ON spans (feed, id);
CREATE VIRTUAL TABLE words USING fts5(
  text, guess, objects, content='spans', content_rowid='id',
  tokenize='{TOKENIZER}'
);
CREATE TRIGGER words_of_new AFTER INSERT ON spans BEGIN
  INSERT INTO words (rowid, text, guess, objects)
  VALUES (new.id, new.text, new.guess, new.objects);
END;
CREATE TRIGGER words_of_old AFTER DELETE ON spans BEGIN
  INSERT INTO words (words, rowid, text, guess, objects)
  VALUES ('delete', old.id, old.text, old.guess, old.objects);
END;
"""
"""The full-text index takes its content from `spans`, so only the columns that are not indexed
(`ended`, `captions`, `confidence`) may be updated."""


_MISDATED = "CREATE TABLE IF NOT EXISTS misdated (id INTEGER PRIMARY KEY, noticed REAL NOT NULL)"
"""Spans that are dated ahead of the clock, because it was wrong when they were written, and when
that was noticed. Versions without this table ignore it."""

_PICTURES = """
CREATE TABLE pictures (
  span INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  maps TEXT NOT NULL,
  image BLOB NOT NULL
);
CREATE INDEX pictures_sizes ON pictures (span, size);
CREATE TRIGGER pictures_of_old AFTER DELETE ON spans BEGIN
  DELETE FROM pictures WHERE span = old.id;
END;
"""
"""A trigger, unlike a foreign key, works for whoever deletes spans. The index has all that sums of
the sizes need, so that no image is read for them."""


_FIRINGS = """
CREATE TABLE IF NOT EXISTS firings (
  id INTEGER PRIMARY KEY,
  rule TEXT NOT NULL,
  feed TEXT NOT NULL,
  began REAL NOT NULL,
  ended REAL,
  message TEXT NOT NULL,
  caption TEXT NOT NULL,
  words TEXT NOT NULL,
  UNIQUE (rule, feed, began)
)
"""
"""Firings of rules; versions without this table ignore it, too."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the history for writing, and create it if it does not exist.

    A committed transaction survives a kill and a power failure: WAL with a sync at each commit
    (https://www.sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        HistoryError: If it cannot be opened, is damaged, of a newer version, or not a history.
    """
    _create_file(path)
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as problem:
        raise HistoryError(_describe(path, problem)) from problem
    return connection


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a history for reading, while it is open for writing.

    Raises:
        HistoryError: If it cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        _add_functions(connection)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as problem:
        raise HistoryError(_describe(path, problem)) from problem
    return connection


def read_pragma(connection: sqlite3.Connection, name: str) -> int:
    """Return the value of an integer pragma."""
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _create_file(path: Path) -> None:
    """Create the file, readable by its owner only: captions of a camera are private."""
    if not path.parent.is_dir():
        raise HistoryError(
            f"history {path} cannot be created: the folder {path.parent} does not exist; create it"
        )
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as problem:
        raise HistoryError(
            f"history {path} cannot be created: {problem.strerror or problem}"
        ) from problem


def _add_functions(connection: sqlite3.Connection) -> None:
    connection.create_function("contains_words", -1, contains_words, deterministic=True)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _add_functions(connection)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    application_id = read_pragma(connection, "application_id")
    if application_id == 0 and not read_pragma(connection, "schema_version"):
        _create_tables(connection)
        return
    if application_id != _APPLICATION_ID:
        raise HistoryError(f"{path} is not a history; configure another file")
    version = read_pragma(connection, "user_version")
    if version > _SCHEMA_VERSION:
        raise HistoryError(
            f"history {path} was created by a newer Sightline (schema version {version}, supported "
            f"is {_SCHEMA_VERSION}); use that one, or configure another file"
        )
    damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise HistoryError(_describe_damage(path, damage))
    _configure(connection)
    # A test write, so that a read-only file fails now and not at the first caption.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_MISDATED)
    connection.execute(_FIRINGS)
    if version < 2:
        _allow_spans_without_confidence(connection)
    if version < 3:
        _execute_all(connection, _PICTURES)
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _execute_all(connection: sqlite3.Connection, script: str) -> None:
    """Run statements within the current transaction, which `executescript` would commit."""
    statement = ""
    for line in script.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _allow_spans_without_confidence(connection: sqlite3.Connection) -> None:
    """Remove a constraint from a table of version 1, without copying what may be a large table.

    This is the procedure of https://www.sqlite.org/lang_altertable.html#otheralter for changes that
    leave the content of the file as it is.
    """
    version = read_pragma(connection, "schema_version")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, 'confidence REAL NOT NULL', 'confidence REAL')"
        " WHERE type = 'table' AND name = 'spans'"
    )
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA writable_schema = RESET")


def _create_tables(connection: sqlite3.Connection) -> None:
    # While the file is empty: later this could not be set without rewriting it.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _configure(connection)
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA} {_MISDATED}; {_FIRINGS}; {_PICTURES} "
        f"PRAGMA application_id = {_APPLICATION_ID}; "
        f"PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
    )


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_size_limit = 1000000")


def _describe(path: Path, problem: sqlite3.Error) -> str:
    name = getattr(problem, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return _describe_damage(path, str(problem))
    if "fts5" in str(problem):
        return "this Python's SQLite has no full-text search (FTS5); use another Python"
    return f"history {path} cannot be opened: {problem}"


def _describe_damage(path: Path, damage: str) -> str:
    return (
        f"{path} is damaged or not a history ({damage}); move it away to start a new one, or try "
        f"to recover it with: sqlite3 {path.name} .recover"
    )
