"""Where frames come from when they do not come from a WebRTC peer."""

from stream.sources.image import read_image
from stream.sources.opening import open_source
from stream.sources.source import Source, SourceError, SourceFrame

__all__ = ["Source", "SourceError", "SourceFrame", "open_source", "read_image"]
