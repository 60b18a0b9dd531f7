"""Where frames come from when they do not come from a WebRTC peer."""

from stream.sources.file import PacedSource
from stream.sources.image import read_image
from stream.sources.intake import Intake, IntakeEnded, read_source, read_track
from stream.sources.opening import open_source
from stream.sources.source import Source, SourceError, SourceFrame
from stream.sources.url import split_address

__all__ = [
    "Intake",
    "IntakeEnded",
    "PacedSource",
    "Source",
    "SourceError",
    "SourceFrame",
    "open_source",
    "read_image",
    "read_source",
    "read_track",
    "split_address",
]
