"""Where captions are kept, and for how long."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator


class HistorySettings(BaseModel):
    """Settings of the history; without a path there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    """The SQLite file; its folder must exist. Captions are kept in it, pictures never."""
    days: float = Field(90, gt=0, le=36_500)
    """Captions older than so many days are deleted."""
    megabytes: float = Field(500, ge=1, le=1_000_000)
    """The oldest captions are deleted when the file would be larger (1 MB is 1,000,000 bytes)."""

    @field_validator("path")
    @classmethod
    def _of_home(cls, path: Path | None) -> Path | None:
        return path and path.expanduser()
