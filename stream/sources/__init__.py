"""Sources of frames other than a WebRTC peer: the demo, images, video files, cameras and URLs.

`open_source` opens the source that a user names; `Ingest` receives the frames of a stream.
"""

from stream.sources.file import RealTimeSource
from stream.sources.image import decode_image, read_image
from stream.sources.ingest import Ingest, IngestEnded, OversizedFrame, ingest_source, ingest_track
from stream.sources.opening import open_source
from stream.sources.source import Source, SourceError, SourceFrame
from stream.sources.url import is_url, parse_source_url

__all__ = [
    "Ingest",
    "IngestEnded",
    "OversizedFrame",
    "RealTimeSource",
    "Source",
    "SourceError",
    "SourceFrame",
    "decode_image",
    "ingest_source",
    "ingest_track",
    "is_url",
    "open_source",
    "parse_source_url",
    "read_image",
]
