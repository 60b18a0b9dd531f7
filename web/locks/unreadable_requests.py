"""Requests that are no HTTP: aiohttp refuses them, and logs each as a failure of its own."""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from stream.rate_limit import RateLimit

_TOLD_PER_S = 1 / 60


class UnreadableRequests(logging.Filter):
    """Has the log tell of them in a line, a few a minute: anybody may send any number."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._told = RateLimit(_TOLD_PER_S)
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything else pass as it is."""
        problem = record.exc_info[1] if record.exc_info else None
        if not isinstance(problem, HttpProcessingError | web.RequestPayloadError):
            return True
        self._count += 1
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "a request could not be read (%d so far)", (self._count,)
        record.exc_info = record.exc_text = None
        return self._told.take()


def mute_unreadable() -> None:
    """Filter what aiohttp logs in this process."""
    logger = logging.getLogger("aiohttp.server")
    if not any(isinstance(each, UnreadableRequests) for each in logger.filters):
        logger.addFilter(UnreadableRequests())
