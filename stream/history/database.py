"""The SQLite file: opened with care, made if there is none, refused if it is not ours."""

import contextlib
import os
import sqlite3
from pathlib import Path

_APPLICATION = 0x53_4C_48_31
"""Marks the file as a history of Sightline (SQLite's `application_id`): "SLH1"."""
_VERSION = 1
"""Of the tables, in SQLite's `user_version`."""
_BUSY_MS = 5000
_TABLES = """
CREATE TABLE spans (
  id INTEGER PRIMARY KEY,
  feed TEXT NOT NULL,
  ended REAL NOT NULL,
  captions INTEGER NOT NULL,
  text TEXT NOT NULL,
  guess TEXT NOT NULL,
  fallback TEXT,
  said TEXT NOT NULL,
  confidence REAL NOT NULL,
  tags TEXT NOT NULL,
  objects TEXT NOT NULL
);
CREATE INDEX spans_of_feed ON spans (feed, id);
CREATE VIRTUAL TABLE words USING fts5(
  text, guess, objects, content='spans', content_rowid='id',
  tokenize='porter unicode61 remove_diacritics 2'
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
"""The index of words takes its contents from `spans`; only what is changed there besides the words
(`ended`, `captions`, `confidence`) may be updated."""


class HistoryError(RuntimeError):
    """The history cannot be used; the message says why and what to do."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the history for writing, and make it if there is none.

    What a transaction has committed survives a kill and a loss of power: WAL with a sync at each
    commit (https://www.sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        HistoryError: If it cannot be opened, is damaged, of a newer version or something else.
    """
    _make(path)
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as problem:
        raise HistoryError(_told(path, problem)) from problem
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a history that is open for writing already a second time, to read beside the writer.

    Raises:
        HistoryError: If it cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as problem:
        raise HistoryError(_told(path, problem)) from problem
    return connection


def _make(path: Path) -> None:
    """Make the file for its owner alone: what a camera saw is nobody else's concern."""
    if not path.parent.is_dir():
        raise HistoryError(f"{path}: there is no folder {path.parent}; make it first")
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as problem:
        raise HistoryError(f"{path} cannot be made: {problem.strerror or problem}") from problem


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    application = _pragma(connection, "application_id")
    if application == 0 and not _pragma(connection, "schema_version"):
        _create(connection)
        return
    if application != _APPLICATION:
        raise HistoryError(f"{path} holds something else than a history: name another file")
    version = _pragma(connection, "user_version")
    if version > _VERSION:
        raise HistoryError(
            f"{path} was made by a newer Sightline (version {version} of the tables, this one "
            f"knows {_VERSION}): run that one, or name another file"
        )
    broken = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if broken != "ok":
        raise HistoryError(_damaged(path, broken))
    _set_up(connection)
    # Shows now, and not at the first caption, that it cannot be written.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _create(connection: sqlite3.Connection) -> None:
    # Before there is anything in the file: it could not be chosen later without rewriting it.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _set_up(connection)
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION}; "
        f"PRAGMA user_version = {_VERSION}; COMMIT;"
    )


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_size_limit = 1000000")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _told(path: Path, problem: sqlite3.Error) -> str:
    name = getattr(problem, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return _damaged(path, str(problem))
    if "fts5" in str(problem):
        return "this Python's SQLite has no full-text search (FTS5): use another Python"
    return f"{path} cannot be used as a history: {problem}"


def _damaged(path: Path, how: str) -> str:
    return (
        f"{path} is damaged or no history ({how}): move it away and a new one is made, "
        f"or try to recover it with `sqlite3 {path.name} .recover`"
    )
