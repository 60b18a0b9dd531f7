"""Pictures of spans: small images with the maps of their words, and their table's limits."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stream.captioning import CaptionEvent
from stream.history.retention import DAY_S
from stream.history.span import to_microseconds

FILL_AFTER_DELETION = 0.95
"""Share of the size limit to which the oldest pictures are deleted when the limit is exceeded."""

_MEGABYTE = 1_000_000
_DELETE_CHUNK = 200
"""Number of pictures deleted in one transaction."""

Execute = Callable[[str, Sequence[Any]], int]
"""Runs a statement with `?` for each parameter in a transaction; returns the number of rows."""

Fetch = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Returns the rows of a statement with `?` for each parameter."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture of a span: the frame of one of its captions."""

    span: int
    """Id of the span."""
    image: bytes
    """A small image, as WebP."""
    maps: str
    """As `maps_json`."""

    @property
    def size(self) -> int:
        """Size of the image and the maps, in bytes."""
        return len(self.image) + len(self.maps)


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """A picture that was stored, and what it shows."""

    picture: Picture
    feed: str
    """Name of the feed."""
    said: str
    """The caption as `display_text`."""
    captured: float
    """When the frame was captured, in seconds since the Unix epoch."""

    def to_json(self) -> dict[str, Any]:
        """Return the picture as JSON values, the image in Base64."""
        span = self.picture.span
        return {
            "feed": self.feed,
            "span": span,
            "time": round(self.captured, 3),
            "said": self.said,
            "path": f"/api/history/{span}/picture",
            "type": "image/webp",
            "image": base64.b64encode(self.picture.image).decode(),
        }


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """How long, and how many, pictures are kept."""

    days: float
    megabytes: float


NO_PICTURES = PictureLimits(0.0, 0.0)
"""Without pictures: those of before are deleted."""


def maps_json(event: CaptionEvent) -> str:
    """Return the maps of a caption and its words as JSON; empty if none were computed."""
    caption = event.caption
    if caption.maps is None:
        return ""
    maps = caption.maps.to_json()
    words = zip(caption.words, maps["words"], strict=False)
    return json.dumps(
        {
            "method": maps["method"],
            "caption": maps["caption"],
            "words": [{"text": word.text, "map": each} for word, each in words],
        }
    )


class PictureTable:
    """Keeps the table `pictures` within its limits, in any database."""

    def __init__(self, limits: PictureLimits, execute: Execute, fetch: Fetch) -> None:
        """Use the functions of a database.

        Args:
            limits: How long, and how many, pictures are kept.
            execute: Runs a statement.
            fetch: Reads rows.
        """
        self._limits, self._execute, self._fetch = limits, execute, fetch
        self._max_bytes = limits.megabytes * _MEGABYTE
        self._unchecked = 0

    def total(self) -> tuple[int, int]:
        """Return the size of all pictures in bytes, and their number."""
        ((size, count),) = self._fetch("SELECT coalesce(sum(size), 0), count(*) FROM pictures", ())
        return int(size), int(count)

    def count_added(self, size: int) -> int:
        """Count what was added; return how many were deleted because all are too large now."""
        self._unchecked += size
        if self._unchecked <= (1 - FILL_AFTER_DELETION) * self._max_bytes:
            return 0
        return self._limit_size()

    def apply_limits(self, now: float) -> int:
        """Delete pictures that are too old, and the oldest if all are too large.

        Args:
            now: Time in seconds since the Unix epoch that is not in doubt.

        Returns:
            How many were deleted.
        """
        if self._limits == NO_PICTURES:
            return self._delete("true", ())
        oldest = now - self._limits.days * DAY_S
        # A span that is dated ahead of the clock ages from when that was noticed.
        condition = "span < ? OR span IN (SELECT id FROM misdated WHERE noticed < ?)"
        return self._delete(condition, (to_microseconds(oldest), oldest)) + self._limit_size()

    def _limit_size(self) -> int:
        self._unchecked = 0
        size, _ = self.total()
        if size <= self._max_bytes:
            return 0
        excess = size - FILL_AFTER_DELETION * self._max_bytes
        ((last,),) = self._fetch(
            "SELECT min(span) FROM (SELECT span, sum(size) OVER (ORDER BY span) AS total "
            "FROM pictures) AS running WHERE total >= ?",
            (excess,),
        )
        return self._delete("span <= ?", (last,))

    def _delete(self, condition: str, values: Sequence[Any]) -> int:
        statement = (
            "DELETE FROM pictures WHERE span IN (SELECT span FROM pictures "
            f"WHERE {condition} ORDER BY span LIMIT {_DELETE_CHUNK})"
        )
        deleted = 0
        while count := self._execute(statement, values):
            deleted += count
        return deleted
