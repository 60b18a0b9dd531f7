"""What a feed is, as the configuration says it."""

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

from stream.settings import check_stream_name
from stream.sources import SourceError, split_address

FeedName = Annotated[str, AfterValidator(check_stream_name)]
"""The name of a feed in the configuration."""


_SOURCE_BYTES = 4096


class FeedSettings(BaseModel):
    """One feed; its source is never shown, since an address may hold a password."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source: SecretStr = SecretStr("")
    """An address (rtsp://, http://), a camera (`/dev/video0`), a file, or `demo`."""
    source_file: Path | None = None
    """A file whose first line is the source, for an address with a password that is not to be in
    the configuration; it is read at each connection."""
    title: str = Field("", max_length=80)
    """What to call it to people; its name by default."""
    interval_s: float = Field(2.0, ge=0.25, le=600)
    """Seconds between captions."""
    explanations: Literal["gradcam", "all", "none"] = "gradcam"
    """The maps that are computed with its captions: of every word, saliency too, or none."""
    run: Literal["always", "watched"] = "always"
    """Whether it is captioned at all times, or only while someone watches."""
    repeat: bool = True
    """Whether a file is played again when it is over."""
    silence_s: float = Field(5.0, ge=1, le=120)
    """How long a camera may send no picture before its signal counts as lost."""

    @field_validator("source")
    @classmethod
    def _is_well_formed(cls, source: SecretStr) -> SecretStr:
        if "://" in source.get_secret_value():
            try:
                split_address(source.get_secret_value())
            except SourceError as problem:
                raise ValueError(str(problem)) from None
        return source

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.source.get_secret_value()) == bool(self.source_file):
            raise ValueError("give the feed either a source or a source_file")
        return self

    def read_source(self) -> str:
        """Give the source, which may hold a password; may wait for a disk.

        Raises:
            SourceError: If the file that holds it cannot be read.
        """
        if self.source_file is None:
            return self.source.get_secret_value()
        try:
            with self.source_file.open(encoding="utf-8") as file:
                source = file.readline(_SOURCE_BYTES).strip()
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "it is no text"
            raise SourceError(f"{self.source_file} cannot be read: {reason}") from None
        if not source:
            raise SourceError(f"{self.source_file} is empty: write the source into its first line")
        return source
