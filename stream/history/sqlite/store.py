"""The writing side of a history in SQLite."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream.history import Firing, FiringQuery, HistoryQuery, Picture, PictureLimits, Span
from stream.history.errors import WriteError
from stream.history.firing import FIRING_COLUMNS
from stream.history.pictures import NO_PICTURES, Execute, Fetch
from stream.history.span import COLUMNS, MAX_AHEAD_S, MAX_DURATION_S, to_microseconds
from stream.history.sqlite.conditions import id_column, where
from stream.history.sqlite.database import open_database, read_pragma
from stream.history.store import Store

_DELETE_CHUNK = 500
"""Number of spans deleted in one transaction."""

_MERGE_PAGES = 500
_PUT_FIRING = f"""
INSERT INTO firings ({FIRING_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (rule, feed, began) DO NOTHING
"""
_END_FIRING = "UPDATE firings SET ended = ? WHERE rule = ? AND feed = ? AND began = ?"

_PICTURE_OVERHEAD = 800
"""Bytes of the file that a picture takes beside its image and its maps, on average: the part of its
page that no other row fits in, and its entries in the indexes."""

_INSERT_PICTURE = """
INSERT INTO pictures (span, size, maps, image) SELECT id, ?, ?, ? FROM spans WHERE id = ?
ON CONFLICT (span) DO NOTHING
"""


class SqliteStore(Store):
    """Writes a file; a caption that cannot be written is lost."""

    def __init__(
        self, path: Path, days: float, megabytes: float, pictures: PictureLimits = NO_PICTURES
    ) -> None:
        """Open the file, or create it.

        Args:
            path: Path of the file.
            days: As `HistorySettings.days`.
            megabytes: As `HistorySettings.megabytes`; the size of the file's used pages, without
                the pictures.
            pictures: Limits of the pictures.

        Raises:
            HistoryError: If it cannot be opened or created.
        """
        self._path, self._connection = path, open_database(path)
        super().__init__(days, megabytes, pictures)

    @property
    def bytes(self) -> int:
        """Size of the file's used pages without the pictures; raises `WriteError`."""
        with self._writing():
            page_count = read_pragma(self._connection, "page_count")
            used = page_count - read_pragma(self._connection, "freelist_count")
            size = used * read_pragma(self._connection, "page_size")
        pictures, count = self._pictures.total()
        return max(0, size - pictures - count * _PICTURE_OVERHEAD)

    def put_firing(self, firing: Firing) -> bool:
        """Store a firing, or the end of a stored one; it is lost if it cannot be written."""
        try:
            with self._writing():
                self._connection.execute(*_firing_statement(firing))
        except WriteError as error:
            error.lost = 1
            raise
        return True

    def close(self) -> None:
        """Write what is not written yet, and close the file; safe to call more than once.

        Raises:
            WriteError: If it could not be written; the file is closed all the same.
        """
        try:
            self.flush()
        finally:
            self._close_spans()
            self._connection.close()

    def _commit(self, new: Collection[Span], changed: Collection[Span]) -> Collection[Span]:
        with self._transaction():
            for span in changed:
                self._update(span)
            for span in new:
                self._insert(span)
        return ()

    def _statements(self) -> tuple[Execute, Fetch]:
        def execute(statement: str, values: Sequence[Any]) -> int:
            with self._transaction():
                return self._connection.execute(statement, values).rowcount

        def fetch(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
            with self._writing():
                return self._connection.execute(statement, values).fetchall()

        return execute, fetch

    def _insert_pictures(self, pictures: Collection[Picture]) -> list[Picture]:
        with self._transaction():
            return [
                each
                for each in pictures
                if self._connection.execute(
                    _INSERT_PICTURE, (each.size, each.maps, each.image, each.span)
                ).rowcount
            ]

    def _newest(self) -> float | None:
        """Return the end of the newest span that is not known to be dated wrongly."""
        with self._writing():
            row = self._connection.execute(
                "SELECT ended FROM spans WHERE id NOT IN (SELECT id FROM misdated) "
                "ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else float(row[0])

    def _count_ended(self, begin: float, end: float) -> int:
        with self._writing():
            count: int = self._connection.execute(
                "SELECT count(*) FROM spans WHERE id >= ? AND id < ? AND ended BETWEEN ? AND ?",
                (to_microseconds(begin - MAX_DURATION_S), to_microseconds(end), begin, end),
            ).fetchone()[0]
            return count

    def _note_misdated(self, now: float) -> None:
        """Note spans that are dated ahead of the clock; forget those that are not, or are gone."""
        limit = to_microseconds(now + MAX_AHEAD_S)
        with self._transaction():
            self._connection.execute(
                "DELETE FROM misdated WHERE id <= ? OR id NOT IN (SELECT id FROM spans)", (limit,)
            )
            self._connection.execute(
                "INSERT OR IGNORE INTO misdated SELECT id, ? FROM spans WHERE id > ?", (now, limit)
            )

    def _delete(self, query: HistoryQuery) -> int:
        clause, values = where(query)
        ids = f"SELECT {id_column(query)} FROM {clause} LIMIT {_DELETE_CHUNK}"
        return self._delete_all(ids, values)

    def _delete_older(self, oldest: float) -> int:
        # Scans only the beginning of the index: ids are ordered by time.
        first = f"SELECT id FROM (SELECT id, ended FROM spans ORDER BY id LIMIT {_DELETE_CHUNK}) "
        return self._delete_all(first + "WHERE ended < ?", [oldest])

    def _delete_misdated(self, oldest: float) -> int:
        ids = "SELECT id FROM misdated WHERE noticed < ? AND id IN (SELECT id FROM spans) "
        return self._delete_all(ids + f"LIMIT {_DELETE_CHUNK}", [oldest])

    def _delete_oldest(self, max_bytes: float) -> int:
        """Delete the oldest spans until the rest fits; the word index is merged each round."""
        deleted = 0
        while (size := self.bytes) > max_bytes:
            with self._writing():
                spans = self._connection.execute("SELECT count(*) FROM spans").fetchone()[0]
            if not spans:
                break
            left = 1 + int(spans * (1 - max_bytes / size))
            while left > 0:
                limit = min(left, _DELETE_CHUNK)
                deleted += self._delete_ids("SELECT id FROM spans ORDER BY id LIMIT ?", [limit])
                left -= limit
            self._merge_word_index()
        return deleted

    def _delete_all(self, ids: str, values: list[object]) -> int:
        """Delete chunks of spans until there are no more; return their number."""
        deleted = 0
        while count := self._delete_ids(ids, values):
            deleted += count
        return deleted

    def _delete_ids(self, ids: str, values: list[object]) -> int:
        with self._transaction():
            return self._connection.execute(
                f"DELETE FROM spans WHERE id IN ({ids})", values
            ).rowcount

    def _delete_firings(self, query: FiringQuery) -> None:
        clause, values = query.sql()
        with self._writing():
            self._connection.execute(f"DELETE FROM firings WHERE {clause}", values)

    def _delete_excess_firings(self, count: int) -> None:
        newest = "SELECT id FROM firings ORDER BY id DESC LIMIT 1 OFFSET ?"
        with self._writing():
            self._connection.execute(f"DELETE FROM firings WHERE id <= ({newest})", [count])

    def _shrink(self) -> None:
        """Return the space of deleted spans to the file system."""
        self._merge_word_index()
        self._shrink_pictures()

    def _shrink_pictures(self) -> None:
        with self._writing():
            # As a script: execute would run only the first step of a statement without columns,
            # which frees one page.
            self._connection.executescript("PRAGMA incremental_vacuum")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _merge_word_index(self) -> None:
        """Purge deleted words from the full-text index, which only marks them at first."""
        pages = -_MERGE_PAGES
        with self._writing():
            while True:
                before = self._connection.total_changes
                self._connection.execute(
                    "INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,)
                )
                # Fewer than 2 changes: done (https://www.sqlite.org/fts5.html#the_merge_command).
                if self._connection.total_changes - before < 2:
                    return
                pages = _MERGE_PAGES

    def _insert(self, span: Span) -> None:
        objects = " ".join(tag.text for tag in span.tags)
        placeholders = ", ".join("?" * (COLUMNS.count(",") + 2))
        # Ids collide for frames of two feeds at the same time, or after the clock was set back.
        while self._connection.execute("SELECT 1 FROM spans WHERE id = ?", (span.id,)).fetchone():
            span.id += 1
        span.ended = max(span.ended, span.started)
        self._connection.execute(
            f"INSERT INTO spans ({COLUMNS}, objects) VALUES ({placeholders})",
            (*span.to_row(), objects),
        )

    def _update(self, span: Span) -> None:
        self._connection.execute(
            "UPDATE spans SET ended = ?, captions = ?, confidence = ? WHERE id = ?",
            (span.ended, span.captions, span.confidence, span.id),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._writing():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn failures of SQLite into the history's."""
        try:
            yield
        except sqlite3.Error as problem:
            raise WriteError(f"history {self._path} cannot be written: {problem}") from problem


def _firing_statement(firing: Firing) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that stores a firing, or its end, and the values.

    One that was deleted while it lasted does not come back.
    """
    if firing.ended is None:
        return _PUT_FIRING, firing.to_row()
    return _END_FIRING, (firing.ended, firing.rule, firing.feed, firing.began)
