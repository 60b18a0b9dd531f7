"""The writing side of the history: adds, deletes and expires spans; commits are durable."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.captioning import CaptionEvent
from stream.history.database import open_database, read_pragma
from stream.history.retention import DAY_S, RetentionClock
from stream.history.search import HistoryQuery
from stream.history.span import COLUMNS, MAX_AHEAD_S, MAX_SPAN_S, OpenSpans, Span, to_microseconds

_DELETE_CHUNK = 500
"""Number of spans deleted in one transaction."""

_MERGE_PAGES = 500
_FILL_AFTER_DELETION = 0.95
"""Share of the size limit to which the oldest spans are deleted when the limit is exceeded."""

_MEGABYTE = 1_000_000
_MANY_SPANS = 1000
"""Deletions of this size are logged."""

logger = logging.getLogger(__name__)


class Store:
    """Writes the history; for one thread at a time."""

    def __init__(self, path: Path, days: float, megabytes: float) -> None:
        """Open the file, or create it.

        Args:
            path: Path of the file.
            days: As `HistorySettings.days`.
            megabytes: As `HistorySettings.megabytes`.

        Raises:
            HistoryError: If it cannot be opened or created.
        """
        self._days, self._max_bytes = days, megabytes * _MEGABYTE
        self._open = OpenSpans()
        self._extended: dict[int, Span] = {}
        """Open spans that were extended since they were last written."""
        self._connection = open_database(path)
        self._clock = RetentionClock(days, self._newest())
        self._is_waiting = False

    def add(self, event: CaptionEvent) -> bool:
        """Add a caption; one that starts a new span is committed when this returns.

        Returns:
            Whether it started a new span.

        Raises:
            sqlite3.Error: If it cannot be written; the caption is lost then.
        """
        ended, span = self._open.add(event)
        if span.captions > 1:
            self._extended[span.id] = span
            return False
        try:
            with self._transaction():
                if ended:
                    self._update(ended)
                self._insert(span)
        except sqlite3.Error:
            self._close_spans()
            raise
        if ended:
            self._extended.pop(ended.id, None)
        return True

    def flush(self) -> bool:
        """Write the extended spans; return whether there were any.

        Raises:
            sqlite3.Error: If they cannot be written; it may be tried again.
        """
        if not self._extended:
            return False
        with self._transaction():
            for span in self._extended.values():
                self._update(span)
        self._extended.clear()
        return True

    def delete(self, query: HistoryQuery) -> int:
        """Delete spans; return their number.

        Raises:
            sqlite3.Error: If they cannot be deleted; some may be.
        """
        self._close_spans()
        where, values = query.sql()
        ids = f"SELECT {query.id_column} FROM {where} LIMIT {_DELETE_CHUNK}"
        deleted = 0
        while count := self._delete_ids(ids, values):
            deleted += count
        self._shrink()
        return deleted

    def apply_retention(self, now: float | None = None) -> int:
        """Delete spans that are too old, and the oldest if the file is too large; return how many.

        Nothing is too old by a clock that is in doubt (see `RetentionClock`). A span that is dated
        ahead of the clock ages from when that was noticed.

        Args:
            now: Current time in seconds since the Unix epoch; the clock's if None.

        Raises:
            sqlite3.Error: If they cannot be deleted; some may be.
        """
        now = time.time() if now is None else now
        trusted = self._clock.time(now)
        self._log_waiting(trusted, now)
        self._note_misdated(now)
        oldest = trusted - self._days * DAY_S
        deleted = 0
        # Scans only the beginning of the index: ids are ordered by time.
        first = f"SELECT id FROM (SELECT id, ended FROM spans ORDER BY id LIMIT {_DELETE_CHUNK}) "
        while count := self._delete_ids(first + "WHERE ended < ?", [oldest]):
            deleted += count
        misdated = f"SELECT id FROM misdated WHERE noticed < ? LIMIT {_DELETE_CHUNK}"
        while count := self._delete_ids(misdated, [oldest]):
            deleted += count
            self._note_misdated(now)
        if deleted >= _MANY_SPANS:
            logger.info("%d spans of the history were older than %g days", deleted, self._days)
        if self.bytes > self._max_bytes:
            deleted += self._delete_oldest()
        elif not deleted:
            return 0
        self._shrink()
        return deleted

    @property
    def bytes(self) -> int:
        """Size of the file's used pages."""
        page_count = read_pragma(self._connection, "page_count")
        used = page_count - read_pragma(self._connection, "freelist_count")
        return used * read_pragma(self._connection, "page_size")

    def close(self) -> None:
        """Write what is not written yet, and close the file; safe to call more than once.

        Raises:
            sqlite3.Error: If it could not be written; the file is closed all the same.
        """
        try:
            self.flush()
        finally:
            self._extended.clear()
            self._connection.close()

    def _newest(self) -> float | None:
        """Return the end of the newest span that is not known to be dated wrongly."""
        row = self._connection.execute(
            "SELECT ended FROM spans WHERE id NOT IN (SELECT id FROM misdated) "
            "ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return None if row is None else float(row[0])

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

    def _log_waiting(self, trusted: float, now: float) -> None:
        """Log once that spans are kept because the clock is in doubt, and once that it is not."""
        if trusted >= now:
            if self._is_waiting:
                logger.warning("the clock is plausible again; old spans are deleted")
            self._is_waiting = False
            return
        if self._is_waiting:
            return
        begin, end = trusted - self._days * DAY_S, now - self._days * DAY_S
        count: int = self._connection.execute(
            "SELECT count(*) FROM spans WHERE id >= ? AND id < ? AND ended BETWEEN ? AND ?",
            (to_microseconds(begin - MAX_SPAN_S), to_microseconds(end), begin, end),
        ).fetchone()[0]
        if count:
            self._is_waiting = True
            logger.warning(
                "the clock is %.1f days ahead of the history, so %d of its spans would be older "
                "than %g days; nothing is deleted by age for %.0f h: set the clock if it is wrong",
                (now - trusted) / DAY_S,
                count,
                self._days,
                self._clock.wait_s / 3600,
            )

    def _delete_oldest(self) -> int:
        """Delete the oldest spans until the rest fits; the word index is merged each round."""
        deleted = 0
        while (size := self.bytes) > _FILL_AFTER_DELETION * self._max_bytes:
            spans: int = self._connection.execute("SELECT count(*) FROM spans").fetchone()[0]
            if not spans:
                break
            left = 1 + int(spans * (1 - _FILL_AFTER_DELETION * self._max_bytes / size))
            while left > 0:
                limit = min(left, _DELETE_CHUNK)
                deleted += self._delete_ids("SELECT id FROM spans ORDER BY id LIMIT ?", [limit])
                left -= limit
            self._merge_word_index()
        return deleted

    def _delete_ids(self, ids: str, values: list[object]) -> int:
        with self._transaction():
            return self._connection.execute(
                f"DELETE FROM spans WHERE id IN ({ids})", values
            ).rowcount

    def _shrink(self) -> None:
        """Return the space of deleted spans to the file system."""
        self._merge_word_index()
        # As a script: execute would run only the first step of a statement without columns, which
        # frees one page.
        self._connection.executescript("PRAGMA incremental_vacuum")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _merge_word_index(self) -> None:
        """Purge deleted words from the full-text index, which only marks them at first."""
        pages = -_MERGE_PAGES
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

    def _close_spans(self) -> None:
        self._open.clear()
        self._extended.clear()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
