"""Media processes: sessions and feeds of one server spread over several processes.

The front is the server's process: it has the HTTP server, the limits, the published streams and the
captioner. A media process (`stream.media.worker`) has the video.
"""

from stream.media.figures import MediaReport, MediaTotals, ProcessFigures
from stream.media.front import MediaProcesses
from stream.media.process import AdjustableSettings, WorkerSettings
from stream.media.process_count import media_process_count
from stream.media.service import (
    AnalysisService,
    FeedService,
    LocalMedia,
    MediaService,
    SessionHandle,
    SessionService,
)

__all__ = [
    "AdjustableSettings",
    "AnalysisService",
    "FeedService",
    "LocalMedia",
    "MediaProcesses",
    "MediaReport",
    "MediaService",
    "MediaTotals",
    "ProcessFigures",
    "SessionHandle",
    "SessionService",
    "WorkerSettings",
    "media_process_count",
]
