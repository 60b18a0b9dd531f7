"""Settings of the history."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stream.history.pictures import NO_PICTURES, PictureLimits
from stream.settings import UserPath

PictureMode = Literal["off", "changes", "rules"]
"""Of what pictures are stored: nothing, each new span, or spans in which a rule fires."""


class HistorySettings(BaseModel):
    """Settings of the history; it is off without a path and without a database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: UserPath | None = None
    """The SQLite file, in an existing folder. It contains captions, and images only if `pictures`
    says so. With `[cluster] database` it is not written, but may be copied."""
    days: float = Field(90, gt=0, le=36_500)
    """Days after which captions are deleted; see `RetentionClock` for a clock that jumps."""
    megabytes: float = Field(500, ge=1, le=1_000_000)
    """Maximum size of the file, or of the tables and indexes in PostgreSQL, in megabytes (1,000,000
    bytes), without the pictures. The oldest captions are deleted beyond it."""
    pictures: PictureMode = "off"
    """What pictures of feeds are stored: none, one of each caption that differs from the last, or
    of the captions on which a rule fires. When it is off, those of before are deleted."""
    pictures_days: float = Field(7, gt=0, le=36_500)
    """Days after which pictures are deleted; no later than their captions."""
    pictures_megabytes: float = Field(500, ge=1, le=1_000_000)
    """Maximum size of all pictures, in megabytes (1,000,000 bytes). The oldest are deleted beyond
    it."""
    pictures_for: Literal["viewer", "admin"] = "admin"
    """Who may see stored pictures; an admin always may."""

    @property
    def picture_limits(self) -> PictureLimits:
        """How long, and how many, pictures are kept."""
        if self.pictures == "off":
            return NO_PICTURES
        return PictureLimits(self.pictures_days, self.pictures_megabytes)
