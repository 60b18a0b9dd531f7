"""Captions go in here: one thread writes, and what it has committed stays."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.captioning import CaptionEvent
from stream.history.database import open_database
from stream.history.search import Wanted
from stream.history.span import COLUMNS, OpenSpans, Span

_CHUNK = 500
"""Spans deleted in one transaction."""
_MERGED_PAGES = 500
_ROOM = 0.95
"""Of the size that is allowed, what is left when the oldest spans had to go."""
_DAY_S = 86_400.0
_MEGABYTE = 1_000_000


class Store:
    """The history's writer; used by one thread at a time."""

    def __init__(self, path: Path, days: float, megabytes: float) -> None:
        """Open the file, or make it.

        Args:
            path: Of the file.
            days: As `HistorySettings.days`.
            megabytes: As `HistorySettings.megabytes`.

        Raises:
            HistoryError: If that cannot be done.
        """
        self._days, self._most_bytes = days, megabytes * _MEGABYTE
        self._open = OpenSpans()
        self._longer: dict[int, Span] = {}
        """Spans that have become longer than the file knows; no more than are open."""
        self._connection = open_database(path)

    def add(self, event: CaptionEvent) -> bool:
        """Take a caption in. If it says something new, that is committed when this returns.

        Returns:
            Whether it did.

        Raises:
            sqlite3.Error: If it cannot be written; it is lost then.
        """
        ended, span = self._open.follow(event)
        if span.captions > 1:
            self._longer[span.id] = span
            return False
        try:
            with self._transaction():
                if ended:
                    self._update(ended)
                self._insert(span)
        except sqlite3.Error:
            self._forget()
            raise
        if ended:
            self._longer.pop(ended.id, None)
        return True

    def note_ends(self) -> bool:
        """Write how long the last spans have lasted by now; return whether there was any news.

        Raises:
            sqlite3.Error: If that cannot be written; it may be tried again.
        """
        if not self._longer:
            return False
        with self._transaction():
            for span in self._longer.values():
                self._update(span)
        self._longer.clear()
        return True

    def delete(self, wanted: Wanted) -> int:
        """Delete spans; return how many.

        Raises:
            sqlite3.Error: If they cannot be deleted; some may be.
        """
        self._forget()
        where, values = wanted.where()
        chosen = f"SELECT {wanted.id} FROM {where} LIMIT {_CHUNK}"
        deleted = 0
        while count := self._delete(chosen, values):
            deleted += count
        self._shrink()
        return deleted

    def retain(self, now: float | None = None) -> int:
        """Delete what is too old, and the oldest of what is too much; return how many spans.

        Args:
            now: In seconds since the Unix epoch; the clock's time if None.

        Raises:
            sqlite3.Error: If that cannot be done; some of it may be.
        """
        oldest = (time.time() if now is None else now) - self._days * _DAY_S
        deleted = 0
        # Of the index of times it needs the beginning only: the oldest come first.
        old = f"SELECT id FROM (SELECT id, ended FROM spans ORDER BY id LIMIT {_CHUNK}) "
        while count := self._delete(old + "WHERE ended < ?", [oldest]):
            deleted += count
        if self.bytes > self._most_bytes:
            deleted += self._make_room()
        elif not deleted:
            return 0
        self._shrink()
        return deleted

    @property
    def bytes(self) -> int:
        """Size of the file's used pages."""
        used: int = self._pragma("page_count") - self._pragma("freelist_count")
        return used * self._pragma("page_size")

    def close(self) -> None:
        """Write what is not written yet, and close the file; safe to call more than once.

        Raises:
            sqlite3.Error: If it could not be written; the file is closed all the same.
        """
        try:
            self.note_ends()
        finally:
            self._longer.clear()
            self._connection.close()

    def _make_room(self) -> int:
        """Delete the oldest until the rest has room; the index is merged once each round."""
        deleted = 0
        while (size := self.bytes) > _ROOM * self._most_bytes:
            spans: int = self._connection.execute("SELECT count(*) FROM spans").fetchone()[0]
            if not spans:
                break
            left = 1 + int(spans * (1 - _ROOM * self._most_bytes / size))
            while left > 0:
                limit = min(left, _CHUNK)
                deleted += self._delete("SELECT id FROM spans ORDER BY id LIMIT ?", [limit])
                left -= limit
            self._merge()
        return deleted

    def _delete(self, chosen: str, values: list[object]) -> int:
        with self._transaction():
            return self._connection.execute(
                f"DELETE FROM spans WHERE id IN ({chosen})", values
            ).rowcount

    def _shrink(self) -> None:
        """Give the room of what was deleted back to the file system."""
        self._merge()
        # As a script, since of a statement with no columns only the first step is taken: one page.
        self._connection.executescript("PRAGMA incremental_vacuum")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _merge(self) -> None:
        """Have the index of words forget what was deleted, which it only marks at first."""
        pages = -_MERGED_PAGES
        while True:
            before = self._connection.total_changes
            self._connection.execute(
                "INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,)
            )
            # https://www.sqlite.org/fts5.html#the_merge_command: fewer than 2 means it was all.
            if self._connection.total_changes - before < 2:
                return
            pages = _MERGED_PAGES

    def _insert(self, span: Span) -> None:
        objects = " ".join(tag.text for tag in span.tags)
        places = ", ".join("?" * (COLUMNS.count(",") + 2))
        # Two feeds' pictures, or one's after the clock was set back, may be of the same moment.
        while self._connection.execute("SELECT 1 FROM spans WHERE id = ?", (span.id,)).fetchone():
            span.id += 1
        span.ended = max(span.ended, span.begun)
        self._connection.execute(
            f"INSERT INTO spans ({COLUMNS}, objects) VALUES ({places})", (*span.to_row(), objects)
        )

    def _update(self, span: Span) -> None:
        self._connection.execute(
            "UPDATE spans SET ended = ?, captions = ?, confidence = ? WHERE id = ?",
            (span.ended, span.captions, span.confidence, span.id),
        )

    def _forget(self) -> None:
        self._open.forget()
        self._longer.clear()

    def _pragma(self, name: str) -> int:
        value: int = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

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
