"""Settings of a feed: a table `[feeds.NAME]` of the configuration."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from stream.settings import UnreadableFile, find_secret_file, read_text_file, validate_stream_name
from stream.sources import SourceError, is_url, parse_source_url

FeedName = Annotated[str, AfterValidator(validate_stream_name)]
"""Name of a feed in the configuration."""


class FeedSettings(BaseModel):
    """Settings of one feed; the source is never shown, because a URL may contain a password."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source: SecretStr = SecretStr("")
    """A URL (rtsp://, http://), a camera (`/dev/video0`), a file, or `demo`."""
    source_file: Path | None = None
    """A file whose first line is the source, to keep a URL with a password out of the
    configuration; it is read at each connection."""
    title: str = Field("", max_length=80)
    """Display name; the feed's name by default."""
    interval_s: float = Field(2.0, ge=0.25, le=600)
    """Seconds between captions."""
    explanations: Literal["words", "all", "none"] = "words"
    """Heat maps to compute for each caption: of every word (`words`), also saliency (`all`), or
    none."""
    run: Literal["always", "watched"] = "always"
    """Whether the feed runs around the clock, or only while it has viewers."""
    repeat: bool = True
    """Whether to play a file again when it has ended."""
    silence_s: float = Field(5.0, ge=1, le=120)
    """How long a camera may send no frame before its signal counts as lost."""

    @field_validator("source")
    @classmethod
    def _check_url(cls, source: SecretStr) -> SecretStr:
        if is_url(source.get_secret_value()):
            try:
                parse_source_url(source.get_secret_value())
            except SourceError as problem:
                raise ValueError(str(problem)) from None
        return source

    @model_validator(mode="after")
    def _check_one_source(self) -> Self:
        if bool(self.source.get_secret_value()) == bool(self.source_file):
            raise ValueError("set either source or source_file")
        return self

    def read_source(self) -> str:
        """Return the source, which may contain a password; may block on the disk.

        Raises:
            SourceError: If `source_file` cannot be read or is empty.
        """
        if self.source_file is None:
            return self.source.get_secret_value()
        try:
            file = find_secret_file(self.source_file, "the source")
        except ValueError as problem:
            raise SourceError(f"source_file: {problem}") from None
        # Viewers read these messages, so they do not repeat the path.
        try:
            source = read_text_file(file).partition("\n")[0].strip()
        except UnreadableFile as problem:
            raise SourceError(f"the feed's source_file cannot be read: {problem}") from None
        if not source:
            raise SourceError(
                "the feed's source_file is empty; write the source into its first line"
            )
        return source
