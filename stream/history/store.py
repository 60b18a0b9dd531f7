"""The writing side of the history, the same for all databases: spans, retention, deletion."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable

from stream.captioning import CaptionEvent
from stream.history.errors import WriteDelayed, WriteError
from stream.history.firing import MAX_FIRINGS, Firing, FiringQuery
from stream.history.pictures import (
    NO_PICTURES,
    Execute,
    Fetch,
    Picture,
    PictureLimits,
    PictureTable,
)
from stream.history.query import HistoryQuery
from stream.history.retention import DAY_S, RetentionClock
from stream.history.span import OpenSpans, Span

FILL_AFTER_DELETION = 0.95
"""Share of the size limit to which the oldest spans are deleted when the limit is exceeded."""

_MEGABYTE = 1_000_000
_MANY_SPANS = 1000
"""Deletions of this size are logged."""

logger = logging.getLogger(__name__)


class Store(ABC):
    """Writes the history; commits are durable. For one thread at a time."""

    written = 0
    """New spans that were committed."""

    def __init__(
        self, days: float, megabytes: float, pictures: PictureLimits = NO_PICTURES
    ) -> None:
        """Start without open spans.

        Args:
            days: As `HistorySettings.days`.
            megabytes: As `HistorySettings.megabytes`.
            pictures: Limits of the pictures; by default none are kept.
        """
        self._days, self._max_bytes = days, megabytes * _MEGABYTE
        self._pictures = PictureTable(pictures, *self._statements())
        self._open = OpenSpans()
        self._new: list[Span] = []
        """Spans that are not written yet."""
        self._changed: dict[int, Span] = {}
        """Spans that were extended since they were last written, by identity."""
        self._clock = RetentionClock(days, self._newest())
        self._is_waiting = False

    @property
    def unwritten(self) -> int:
        """Number of new spans that are kept for the next `flush`."""
        return len(self._new)

    def add(self, event: CaptionEvent) -> Span | None:
        """Add a caption; one that starts a new span is committed when this returns.

        Returns:
            The span that it started, with its final id; None if it extended one.

        Raises:
            WriteDelayed: If it cannot be written now; call `flush` until it can.
            WriteError: If it cannot be written; the caption is lost then.
        """
        ended, span = self._merge(event)
        if span:
            self._write([ended] if ended else [])
        return span

    def open_span(self, feed: str) -> Span | None:
        """Return the last span of a feed; None if it cannot be extended any more."""
        return self._open.find(feed)

    def add_all(self, events: Iterable[CaptionEvent]) -> None:
        """Add captions in one transaction; raises as `add`, for all of them."""
        for event in events:
            self._merge(event)
        self.flush()

    def flush(self) -> bool:
        """Write what is not written yet; return whether there was anything.

        Raises:
            WriteDelayed: If it cannot be written now; it may be tried again.
            WriteError: If it cannot be written.
        """
        if not self._new and not self._changed:
            return False
        self._write(list(self._changed.values()))
        return True

    @abstractmethod
    def put_firing(self, firing: Firing) -> bool:
        """Store a firing, or the end of one that is stored; return True.

        Raises:
            WriteDelayed: If it cannot be written now; it may be tried again.
            WriteError: If it cannot be written.
        """

    def keep_pictures(self, pictures: Collection[Picture]) -> list[Picture]:
        """Store pictures; return those whose span still exists and had none.

        Raises:
            WriteError: If they cannot be written; they are lost then.
        """
        kept = self._insert_pictures(pictures)
        if self._pictures.count_added(sum(each.size for each in kept)):
            self._shrink_pictures()
        return kept

    def delete(self, query: HistoryQuery) -> int:
        """Delete spans with their pictures, and the firings that began among them.

        Returns:
            The number of spans.

        Raises:
            WriteError: If they cannot be deleted; some may be.
        """
        if self._new:
            self.flush()
        self._close_spans()
        deleted = self._delete(query)
        if query.words is None:
            self._delete_firings(FiringQuery(None, query.feed, query.begin, query.end))
        self._shrink()
        return deleted

    def apply_retention(self, now: float | None = None) -> int:
        """Delete spans that are too old, and the oldest if all are too large; return how many.

        Nothing is too old by a clock that is in doubt (see `RetentionClock`). A span that is dated
        ahead of the clock ages from when that was noticed.

        Args:
            now: Current time in seconds since the Unix epoch; the clock's if None.

        Raises:
            WriteError: If they cannot be deleted; some may be.
        """
        now = time.time() if now is None else now
        trusted = self._clock.time(now)
        self._log_waiting(trusted, now)
        self._note_misdated(now)
        if self._pictures.apply_limits(trusted):
            self._shrink_pictures()
        oldest = trusted - self._days * DAY_S
        deleted = self._delete_older(oldest)
        self._delete_firings(FiringQuery(end=oldest))
        self._delete_excess_firings(MAX_FIRINGS)
        if misdated := self._delete_misdated(oldest):
            deleted += misdated
            self._note_misdated(now)
        if deleted >= _MANY_SPANS:
            logger.info("%d spans of the history were older than %g days", deleted, self._days)
        if self.bytes > self._max_bytes:
            deleted += self._delete_oldest(FILL_AFTER_DELETION * self._max_bytes)
        elif not deleted:
            return 0
        self._shrink()
        return deleted

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Size of what is stored without the pictures; raises `WriteError`."""

    @abstractmethod
    def close(self) -> None:
        """Write what is not written yet, and close the database; safe to call more than once.

        Raises:
            WriteError: If it could not be written; the database is closed all the same.
        """

    def _merge(self, event: CaptionEvent) -> tuple[Span | None, Span | None]:
        """Add a caption to the spans; return the one that it ended, and the one that it began."""
        ended, span = self._open.add(event)
        if span.captions > 1:
            self._changed[id(span)] = span
            return None, None
        if ended:
            self._changed[id(ended)] = ended
        self._new.append(span)
        return ended, span

    def _write(self, changed: Collection[Span]) -> None:
        """Write the new spans, and the ends of some others."""
        count = len(self._new)
        try:
            gone = self._commit(self._new, changed)
        except WriteDelayed:
            raise
        except WriteError as error:
            if self._new:
                error.lost = count
                self._close_spans()
            raise
        self.written += count
        del self._new[:count]
        for span in changed:
            self._changed.pop(id(span), None)
        for span in gone:
            self._open.close(span)

    def _close_spans(self) -> None:
        self._open.clear()
        self._new.clear()
        self._changed.clear()

    def _log_waiting(self, trusted: float, now: float) -> None:
        """Log once that spans are kept because the clock is in doubt, and once that it is not."""
        if trusted >= now:
            if self._is_waiting:
                logger.warning("the clock is plausible again; old spans are deleted")
            self._is_waiting = False
            return
        if self._is_waiting:
            return
        count = self._count_ended(trusted - self._days * DAY_S, now - self._days * DAY_S)
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

    @abstractmethod
    def _statements(self) -> tuple[Execute, Fetch]:
        """Return the functions that run statements on the table of the pictures."""

    @abstractmethod
    def _insert_pictures(self, pictures: Collection[Picture]) -> list[Picture]:
        """Store pictures in one transaction; return those whose span exists and had none."""

    @abstractmethod
    def _shrink_pictures(self) -> None:
        """Return the space of deleted pictures to the file system."""

    @abstractmethod
    def _commit(self, new: Collection[Span], changed: Collection[Span]) -> Collection[Span]:
        """Commit new spans, with ids that are free, and the ends of changed ones.

        Returns:
            Those of the changed spans that have been deleted.

        Raises:
            WriteDelayed: If they cannot be written now, and are to be kept.
            WriteError: If they cannot be written.
        """

    @abstractmethod
    def _newest(self) -> float | None:
        """Return the end of the newest span that is not known to be dated wrongly."""

    @abstractmethod
    def _count_ended(self, begin: float, end: float) -> int:
        """Return the number of spans that ended between two times."""

    @abstractmethod
    def _note_misdated(self, now: float) -> None:
        """Note spans that are dated ahead of the clock; forget those that are not, or are gone."""

    @abstractmethod
    def _delete(self, query: HistoryQuery) -> int:
        """Delete spans; return their number."""

    @abstractmethod
    def _delete_older(self, oldest: float) -> int:
        """Delete spans that ended before a time; return their number."""

    @abstractmethod
    def _delete_misdated(self, oldest: float) -> int:
        """Delete spans that were noticed to be misdated before a time; return their number."""

    @abstractmethod
    def _delete_oldest(self, max_bytes: float) -> int:
        """Delete the oldest spans until the rest fits; return their number."""

    @abstractmethod
    def _delete_firings(self, query: FiringQuery) -> None:
        """Delete firings."""

    @abstractmethod
    def _delete_excess_firings(self, count: int) -> None:
        """Delete all firings but the latest `count`."""

    @abstractmethod
    def _shrink(self) -> None:
        """Return the space of deleted spans to the file system."""
