"""Log records of media processes, which appear in the server's log as its own do."""

import asyncio
import contextlib
import logging
import traceback
from contextvars import copy_context
from typing import Any

from stream.context import LOG_CONTEXT
from stream.media.channel import Channel

_VERBOSE_LIBRARIES = ("aioice", "aiortc")


class RecordSender(logging.Handler):
    """Sends the log records of a media process to the front."""

    def __init__(self, channel: Channel) -> None:
        """Send over a channel, from any thread."""
        super().__init__()
        self._channel, self._loop = channel, asyncio.get_running_loop()

    def install(self, level: int) -> None:
        """Receive all records of this process of at least a level."""
        logging.root.handlers = [self]
        logging.root.setLevel(level)
        for name in _VERBOSE_LIBRARIES:
            logging.getLogger(name).setLevel(max(logging.WARNING, level))
        logging.captureWarnings(True)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, unless too many are waiting to be sent."""
        try:
            values = {
                "name": record.name,
                "level": record.levelno,
                "created": record.created,
                "message": record.getMessage(),
                "trace": "".join(traceback.format_exception(*record.exc_info)).rstrip()
                if record.exc_info
                else "",
                "fields": getattr(record, "fields", {}),
                "context": dict(LOG_CONTEXT.get({})),
            }
        except Exception:
            self.handleError(record)
            return
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._send, values)

    def _send(self, values: dict[str, Any]) -> None:
        self._channel.notify("log", spare=True, record=values)


def handle_record(values: dict[str, Any]) -> None:
    """Log a record of a media process in this process, with its time and its context."""
    record = logging.makeLogRecord(
        {
            "name": values["name"],
            "levelno": values["level"],
            "levelname": logging.getLevelName(values["level"]),
            "msg": values["message"],
            "created": values["created"],
            "exc_text": values["trace"] or None,
            "fields": values["fields"],
        }
    )
    target = logging.getLogger(record.name)
    if target.isEnabledFor(record.levelno):
        context = copy_context()
        context.run(LOG_CONTEXT.set, values["context"])
        context.run(target.handle, record)
