"""The log: lines for people or for programs, each with what it is about, none with a secret."""

import json
import logging
import re
import sys
from collections.abc import Collection
from datetime import UTC, datetime

from pydantic import BaseModel, SecretStr

from stream.context import LOG_CONTEXT
from web.settings import LogSettings

_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")


_AUTHORIZATION = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")


_HIDDEN = "***"


_CHATTY = ("aioice", "aiortc", "aiohttp.access")


class _Formatter(logging.Formatter):
    """Writes a record without what must stay secret, wherever in it that stands."""

    def __init__(self, form: str, secrets: Collection[str]) -> None:
        super().__init__()
        self._json, self._secrets = form == "json", sorted(secrets, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        context = LOG_CONTEXT.get({})
        message = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        when = datetime.fromtimestamp(record.created, UTC).astimezone()
        fields: dict[str, object] = getattr(record, "fields", {})
        if not self._json:
            about = "".join(f" {name}={value}" for name, value in context.items())
            line = f"{when:%Y-%m-%d %H:%M:%S} {record.levelname}{about} {message}"
            return self._hide("\n".join(filter(None, (_one_line(line), trace))))
        told = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._hide(message),
            **context,
            **fields,
        }
        if trace:
            told["exception"] = self._hide(trace)
        return json.dumps(told, ensure_ascii=False, default=str)

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _CREDENTIALS.sub(f"{_HIDDEN}@", text)
        return _AUTHORIZATION.sub(rf"\1 {_HIDDEN}", text)


class _ToStderr(logging.Handler):
    """Writes to whatever is standard error then."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


_handler = _ToStderr()


def log_to_stderr(settings: LogSettings, secrets: Collection[str] = ()) -> None:
    """Log to standard error by the settings from now on, and no secret of these."""
    _handler.setFormatter(_Formatter(settings.format, secrets))
    logging.root.addHandler(_handler)
    logging.root.setLevel(settings.level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    # It repeats what is configured, warnings included, in lines of its own.
    logging.captureWarnings(True)


def secrets_in(settings: BaseModel) -> set[str]:
    """Collect what must not be logged; of a feed's address the password is hidden by its form."""
    found: set[str] = set()
    for name, value in settings:
        if isinstance(value, BaseModel):
            found |= secrets_in(value)
        elif isinstance(value, SecretStr) and name != "source":
            found.add(value.get_secret_value())
    return found - {""}


def _one_line(text: str) -> str:
    """What a client had a hand in must not begin a line of its own."""
    return text.replace("\r", "\\r").replace("\n", "\\n")
