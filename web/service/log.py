"""Logging to standard error as text or JSON, with context ids and without secrets."""

import codecs
import json
import logging
import re
import sys
from collections.abc import Collection
from datetime import UTC, datetime

from pydantic import BaseModel, SecretStr

from stream.context import LOG_CONTEXT
from stream.rate_limit import RateLimit
from web.settings import LogSettings

_CREDENTIALS = re.compile(r"(?<=://)\S+@")
_AUTHORIZATION = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_MASK = "***"
_VERBOSE_LIBRARIES = ("aioice", "aiortc", "aiohttp.access")

_MEDIA_LIBRARIES = {"aioice", "aiortc"}
_MEDIA_LINES_PER_S, _MEDIA_BURST = 1 / 60, 10


def log_to_stderr(settings: LogSettings, secrets: Collection[str] = ()) -> None:
    """Configure logging to standard error; each of `secrets` is masked wherever it occurs."""
    _handler.setFormatter(_Formatter(settings.format, secrets))
    _handler.filters = [_MediaFilter()]
    logging.root.addHandler(_handler)
    logging.root.setLevel(settings.level.upper())
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    logging.captureWarnings(True)


def secrets_in(settings: BaseModel) -> set[str]:
    """Collect the secret values of settings.

    Sources of feeds and addresses of endpoints are left out: only the credentials in their URLs are
    secret, and the formatter masks those by their form.
    """
    found: set[str] = set()
    for name, value in settings:
        values = value.values() if isinstance(value, dict) else value
        for each in values if isinstance(value, dict | tuple) else [value]:
            if isinstance(each, BaseModel):
                found |= secrets_in(each)
            elif isinstance(each, SecretStr) and name not in ("source", "base_url"):
                found.add(each.get_secret_value())
    return found - {""}


class _Formatter(logging.Formatter):
    """Formats a record with its context, and masks secrets in message and traceback."""

    def __init__(self, form: str, secrets: Collection[str]) -> None:
        super().__init__()
        self._json, self._secrets = form == "json", sorted(secrets, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        context = LOG_CONTEXT.get({})
        message = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        time = datetime.fromtimestamp(record.created, UTC).astimezone()
        if not self._json:
            ids = "".join(f" {name}={value}" for name, value in context.items())
            line = f"{time:%Y-%m-%d %H:%M:%S} {record.levelname}{ids} {message}"
            return self._mask("\n".join(filter(None, (_one_line(line), trace))))
        fields: dict[str, object] = getattr(record, "fields", {})
        entry = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._mask(message),
            **context,
            **fields,
        }
        if trace:
            entry["exception"] = self._mask(trace)
        # Python's escapes for what a stream's encoding lacks would not be JSON.
        encoding = getattr(sys.stderr, "encoding", None) or "ascii"
        is_utf8 = codecs.lookup(encoding).name == "utf-8"
        return json.dumps(entry, ensure_ascii=not is_utf8, default=str)

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        text = _CREDENTIALS.sub(f"{_MASK}@", text)
        return _AUTHORIZATION.sub(rf"\1 {_MASK}", text)


class _MediaFilter(logging.Filter):
    """Limits the rate of warnings about media, one of which each packet of a client may cause."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = RateLimit(_MEDIA_LINES_PER_S, burst=_MEDIA_BURST)

    def filter(self, record: logging.LogRecord) -> bool:
        is_media = record.name.partition(".")[0] in _MEDIA_LIBRARIES
        return not is_media or record.levelno < logging.WARNING or self._rate.take()


class _StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, which may be replaced at any time."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


_handler = _StderrHandler()


def _one_line(text: str) -> str:
    """Escape line breaks, so that clients cannot forge log lines."""
    return text.replace("\r", "\\r").replace("\n", "\\n")
