"""Copying a history from an SQLite file into PostgreSQL."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from stream.history.backend import open_postgres
from stream.history.errors import HistoryError
from stream.history.firing import FIRING_COLUMNS, Firing
from stream.history.pictures import Picture
from stream.history.settings import HistorySettings
from stream.history.span import COLUMNS, MICROSECONDS, Span

_PAGE = 20_000
"""Spans that are read, and verified, at a time."""

_PICTURE_PAGE = 200
"""Pictures that are read at a time."""

Report = Callable[[str, int, int], None]
"""Called with what is being done, the number of spans that are done, and that of all."""


def copy_history(
    settings: HistorySettings, database: str | None, report: Report
) -> tuple[int, int]:
    """Copy all spans with their ids, verify that they are there, and copy pictures and firings.

    Servers may use both meanwhile. Repeated, it adds what is missing, and
    changes nothing else.

    Args:
        settings: The settings, with the path of the file.
        database: URL of the PostgreSQL database.
        report: Receives the progress.

    Returns:
        The number of spans, and the size of the history in PostgreSQL in bytes.

    Raises:
        HistoryError: If a setting is missing, the file cannot be read, or the database cannot be
            written; the message says why.
    """
    if database is None:
        raise HistoryError("set database in [cluster]: the history is copied into it")
    if settings.path is None:
        raise HistoryError("set path in [history]: the history is copied from that file")
    backend = open_postgres(database)
    try:
        with (
            closing(_open_file(settings.path)) as file,
            closing(backend.open_bulk_writer(settings.days, settings.megabytes)) as writer,
        ):
            total, first, last = file.execute(
                "SELECT count(*), min(id), max(id) FROM spans"
            ).fetchone()
            if total:
                per_s = total / max(1.0, (last - first) / MICROSECONDS)
                done = 0
                for count in writer.write(_spans(file), per_s):
                    done += count
                    report("copied", done, max(done, total))
                total = _verify(file, writer.missing, report)
                for pictures in _pictures(file):
                    writer.write_pictures(pictures)
            writer.write_firings(list(_firings(file)))
            return total, writer.bytes()
    except sqlite3.Error as problem:
        raise HistoryError(f"history {settings.path} cannot be read: {problem}") from problem


def _open_file(path: Path) -> sqlite3.Connection:
    # Imported here, as each server loads the modules of its own database only.
    from stream.history.sqlite.database import open_database, open_read_only

    if not path.is_file():
        raise HistoryError(f"history {path} does not exist; set path in [history] to the file")
    # This checks the file, and updates its tables if they are of an older version.
    open_database(path).close()
    return open_read_only(path)


def _spans(file: sqlite3.Connection) -> Iterator[Span]:
    """Yield all spans in order; no transaction stays open between pages."""
    for rows in _pages(file, COLUMNS):
        yield from map(Span.from_row, rows)


def _pictures(file: sqlite3.Connection) -> Iterator[list[tuple[Picture, Span]]]:
    """Yield all pictures with their spans, in pages."""
    columns = ", ".join(f"spans.{name}" for name in COLUMNS.split(", "))
    sql = (
        f"SELECT image, maps, {columns} FROM pictures JOIN spans ON id = span "
        f"WHERE span > ? ORDER BY span LIMIT {_PICTURE_PAGE}"
    )
    after = -(2**63)
    while rows := file.execute(sql, (after,)).fetchall():
        spans = [Span.from_row(row) for _, _, *row in rows]
        yield [
            (Picture(span.id, image, maps), span)
            for span, (image, maps, *_) in zip(spans, rows, strict=True)
        ]
        after = spans[-1].id


def _firings(file: sqlite3.Connection) -> Iterator[Firing]:
    """Yield all firings in order; one that lasts ends with what its feed has in the file.

    The servers of the database do not know of it, so none of them would end it.
    """
    for row in file.execute(f"SELECT {FIRING_COLUMNS} FROM firings ORDER BY id"):
        firing = Firing.from_row(row)
        if firing.ended is None:
            (last,) = file.execute(
                "SELECT max(ended) FROM spans WHERE feed = ?", (firing.feed,)
            ).fetchone()
            firing = replace(firing, ended=max(firing.began, last or firing.began))
        yield firing


def _verify(
    file: sqlite3.Connection, missing: Callable[[list[int]], list[int]], report: Report
) -> int:
    """Check that the database has all spans; return their number."""
    done, absent = 0, 0
    for rows in _pages(file, "id"):
        ids = [row[0] for row in rows]
        absent += len(missing(ids))
        done += len(ids)
        report("verified", done, done)
    if absent:
        raise HistoryError(
            f"{absent} of {done} spans are not in the database: they came meanwhile, or were "
            "deleted there; run the command again"
        )
    return done


def _pages(file: sqlite3.Connection, columns: str) -> Iterator[list[tuple[int, ...]]]:
    sql = f"SELECT {columns} FROM spans WHERE id > ? ORDER BY id LIMIT {_PAGE}"
    after = -(2**63)
    while rows := file.execute(sql, (after,)).fetchall():
        yield rows
        after = rows[-1][0]
