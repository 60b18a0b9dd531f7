"""What a feed's captions stated over a period: the objects, for how long, and what changed.

Only captions that are sure count, and tags, which have a confidence of their own. That an object is
not mentioned for a while means that it was gone only if captions were sure meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stream.history.summaries.objects import objects_of

ABSENCE_S = 60.0
"""Seconds of sure captions that do not mention an object, after which it is gone. Captions of the
same scene vary, so that a shorter silence means nothing."""

_UNKNOWN_S = 600.0
"""Time between two mentions after which nothing is known about what was between them."""

MAX_OBJECTS, MAX_CHANGES = 12, 30
MAX_OBJECTS_BY_HOUR, MAX_CHANGES_BY_HOUR = 6, 10
"""In the summary of an hour of a longer period."""

_LEAST_CAPTIONS, _LEAST_S = 2, 10.0
"""Captions, or seconds, that must mention an object, so that it is a change."""

_HOUR_S = 3600.0


class Record(NamedTuple):
    """What a summary needs of a span."""

    started: float
    """In seconds since the Unix epoch, as all times here."""
    ended: float
    feed: str
    captions: int
    text: str
    fallback: str | None
    has_confidence: bool
    tags: tuple[str, ...]


@dataclass(slots=True)
class _Stay:
    """A time in which an object is mentioned again and again."""

    begin: float
    end: float
    captions: int
    is_arrival: bool
    """Whether captions were sure for a while before it, and did not mention the object."""
    stretch: int
    """Which stretch of sure captions it ends in."""
    sure_until: float
    """Seconds of sure captions up to its end."""


@dataclass(slots=True)
class _Presence:
    """Where an object was mentioned."""

    seconds: float = 0.0
    captions: int = 0
    forms: dict[str, int] = field(default_factory=dict)
    """How many captions use each word for it."""
    stays: list[_Stay] = field(default_factory=list)


class Summary:
    """A summary of one feed over one period; takes its spans in order."""

    def __init__(
        self,
        feed: str,
        begin: float,
        end: float,
        max_objects: int = MAX_OBJECTS,
        max_changes: int = MAX_CHANGES,
    ) -> None:
        """Start without spans.

        Args:
            feed: Name of the feed.
            begin: Start of the period, in seconds since the Unix epoch.
            end: Its end.
            max_objects: Number of objects in the summary: those mentioned for longest.
            max_changes: Number of changes in the summary: the latest.
        """
        self._feed, self._begin, self._end = feed, begin, end
        self._max_objects, self._max_changes = max_objects, max_changes
        self._captions = 0
        self._captioned_s = self._unsure_s = self._blank_s = self._uncalibrated_s = 0.0
        self._objects: dict[str, _Presence] = {}
        self._stretches: list[list[float]] = []
        """Start and end of each stretch of sure captions without a long interruption."""
        self._sure_s = 0.0

    def add(self, record: Record, until: float) -> None:
        """Add a span of the feed.

        Args:
            record: The span; not before the last one.
            until: When it ended: before its own end if the clock was set back.
        """
        begin = record.started if record.started > self._begin else self._begin
        end = until if until < self._end else self._end
        seconds = end - begin
        if seconds < 0:
            end, seconds = begin, 0.0
        self._captions += record.captions
        self._captioned_s += seconds
        is_sure = record.fallback is None
        if record.fallback == "blank":
            self._blank_s += seconds
        elif not is_sure:
            self._unsure_s += seconds
        if not record.has_confidence:
            self._uncalibrated_s += seconds
        sure_until = self._sure_s
        if is_sure:
            self._continue_stretch(begin, end)
            sure_until += seconds
        for key, text in objects_of(record.text if is_sure else "", record.tags):
            presence = self._objects.get(key)
            if presence is None:
                presence = self._objects[key] = _Presence()
            presence.seconds += seconds
            presence.captions += record.captions
            presence.forms[text] = presence.forms.get(text, 0) + record.captions
            self._mention(presence, begin, end, record.captions, sure_until)
        self._sure_s = sure_until

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON values; times in seconds since the Unix epoch."""
        ranked = sorted(self._objects.values(), key=lambda each: (-each.seconds, -each.captions))
        shown = ranked[: self._max_objects]
        changes = self._changes(shown)
        return {
            "feed": self._feed,
            "from": round(self._begin, 3),
            "to": round(self._end, 3),
            "captions": self._captions,
            "captioned_s": round(self._captioned_s, 1),
            "unsure_s": round(self._unsure_s, 1),
            "blank_s": round(self._blank_s, 1),
            "uncalibrated_s": round(self._uncalibrated_s, 1),
            "objects": [_object_json(each) for each in shown],
            "more_objects": len(ranked) - len(shown),
            "changes": changes[-self._max_changes :],
            "more_changes": max(0, len(changes) - self._max_changes),
        }

    def _continue_stretch(self, begin: float, end: float) -> None:
        if self._stretches and begin - self._stretches[-1][1] <= ABSENCE_S:
            self._stretches[-1][1] = end
        else:
            self._stretches.append([begin, end])

    def _mention(
        self, presence: _Presence, begin: float, end: float, captions: int, sure_until: float
    ) -> None:
        stretch = len(self._stretches) - 1
        if presence.stays:
            last = presence.stays[-1]
            silence_s = self._sure_s - last.sure_until
            if silence_s <= ABSENCE_S and begin - last.end <= _UNKNOWN_S:
                last.end, last.sure_until, last.stretch = end, sure_until, stretch
                last.captions += captions
                return
        # Before the period nothing is known, nor before a long interruption.
        sure_since = self._stretches[-1][0] if self._stretches else begin
        is_known = bool(self._stretches) and begin - self._stretches[-1][1] <= ABSENCE_S
        is_arrival = is_known and begin - sure_since >= ABSENCE_S
        presence.stays.append(_Stay(begin, end, captions, is_arrival, stretch, sure_until))

    def _changes(self, presences: Iterable[_Presence]) -> list[dict[str, Any]]:
        changes: dict[float, tuple[list[str], list[str]]] = {}
        for presence in presences:
            text = _shown_form(presence)
            for stay in presence.stays:
                if stay.captions < _LEAST_CAPTIONS and stay.end - stay.begin < _LEAST_S:
                    continue
                if stay.is_arrival:
                    changes.setdefault(round(stay.begin, 3), ([], []))[0].append(text)
                if self._is_departure(stay):
                    changes.setdefault(round(stay.end, 3), ([], []))[1].append(text)
        return [
            {"at": at, "appeared": appeared, "gone": gone}
            for at, (appeared, gone) in sorted(changes.items())
        ]

    def _is_departure(self, stay: _Stay) -> bool:
        """Return whether captions were sure for a while after it, and did not mention it."""
        return stay.stretch >= 0 and self._stretches[stay.stretch][1] - stay.end >= ABSENCE_S


class Summaries:
    """Summaries of several feeds over one period, and over each of its hours if wanted."""

    def __init__(self, begin: float, end: float, *, by_hour: bool = False) -> None:
        """Start without spans.

        Args:
            begin: Start of the period, in seconds since the Unix epoch.
            end: Its end.
            by_hour: Whether to summarize each hour, too; hours count from `begin`.
        """
        self._begin, self._end, self._by_hour = begin, end, by_hour
        self._feeds: dict[str, _FeedSummaries] = {}

    def add(self, record: Record) -> None:
        """Add a span; in order of their starts."""
        feed = self._feeds.get(record.feed)
        if feed is None:
            feed = _FeedSummaries(record.feed, self._begin, self._end, by_hour=self._by_hour)
            self._feeds[record.feed] = feed
        feed.add(record)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the summaries of the feeds that had captions, by their names."""
        return [self._feeds[name].to_json() for name in sorted(self._feeds)]


class _FeedSummaries:
    """The summaries of one feed."""

    def __init__(self, feed: str, begin: float, end: float, *, by_hour: bool) -> None:
        self._feed, self._begin, self._end = feed, begin, end
        self._whole = Summary(feed, begin, end)
        self._hours: dict[int, Summary] | None = {} if by_hour else None
        self._last: Record | None = None

    def add(self, record: Record) -> None:
        if self._last:
            self._add(self._last, min(self._last.ended, record.started))
        self._last = record

    def to_json(self) -> dict[str, Any]:
        if self._last:
            self._add(self._last, self._last.ended)
            self._last = None
        hours = self._hours or {}
        return {
            **self._whole.to_json(),
            "hours": [hours[number].to_json() for number in sorted(hours)],
        }

    def _add(self, record: Record, until: float) -> None:
        self._whole.add(record, until)
        if self._hours is None:
            return
        begin_s = max(0.0, record.started - self._begin)
        end_s = min(until, self._end) - self._begin
        first = int(begin_s // _HOUR_S)
        last = max(first, int(-(-end_s // _HOUR_S)) - 1)
        for hour in range(first, last + 1):
            if hour not in self._hours:
                start = self._begin + hour * _HOUR_S
                end = min(start + _HOUR_S, self._end)
                limits = MAX_OBJECTS_BY_HOUR, MAX_CHANGES_BY_HOUR
                self._hours[hour] = Summary(self._feed, start, end, *limits)
            # Its captions count once, in the hour in which it began.
            captions = record.captions if hour == first else 0
            self._hours[hour].add(record._replace(captions=captions), until)


def _object_json(presence: _Presence) -> dict[str, Any]:
    return {
        "text": _shown_form(presence),
        "seconds": round(presence.seconds, 1),
        "captions": presence.captions,
        "times": len(presence.stays),
        "first": round(presence.stays[0].begin, 3),
        "last": round(presence.stays[-1].end, 3),
    }


def _shown_form(presence: _Presence) -> str:
    """Return the most frequent of the words that the captions and tags use."""
    return max(sorted(presence.forms), key=lambda form: presence.forms[form])
