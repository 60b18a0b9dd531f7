"""Limits of live sessions, and validators that several groups of settings share."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_STREAM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class StreamSettings(BaseModel):
    """Settings of live sessions, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: int = Field(8, ge=1, le=1000)
    """Live sessions at once; further ones are refused with 503 and Retry-After."""
    viewers: int = Field(32, ge=1, le=1000)
    """Viewers at once, of all feeds and shared sessions together; further ones are refused."""
    interval_s: float = Field(1.0, ge=0.25, le=10)
    """Seconds between captions; a client may choose another interval in 0.25..10."""
    beam_width: int | None = Field(None, ge=1, le=5)
    """Beam width of the search; the captioner's own by default."""
    sdp_bytes: int = Field(65_536, ge=1024)
    """Maximum size of the SDP in an offer, in bytes."""
    message_bytes: int = Field(4096, ge=256)
    """Maximum size of a client's message on the data channel, in bytes."""
    messages_per_s: float = Field(10, gt=0)
    """Messages per second that a client may send on the data channel, on average."""
    connect_s: float = Field(15, gt=0)
    """Timeout for a session to connect, in seconds."""
    vanished_s: float = Field(8, ge=2)
    """Seconds of silence after which a connected peer counts as gone."""
    idle_s: float = Field(60, gt=0)
    """Seconds without a new frame after which a session ends."""
    session_s: float = Field(12 * 3600, gt=0)
    """Maximum length of a session, in seconds."""
    explanation_share: float = Field(0.25, ge=0, le=1)
    """Fraction of the captioner's time that the maps of one session's captions may take."""
    explanation_s: float = Field(60, gt=0)
    """Timeout for an explanation that a client requests, in seconds."""
    analyses: int = Field(2, ge=1, le=8)
    """Analyses at once, of all clients together; further ones are refused."""
    analysis_s: float = Field(180, gt=0)
    """Timeout for an analysis, in seconds."""
    analysis_kept_s: float = Field(900, gt=0)
    """Seconds for which the result of an analysis is kept."""


def read_secret(value: object) -> SecretStr:
    """Read a secret from the file that a setting names.

    Args:
        value: Path of the file.

    Raises:
        ValueError: If the value is not a path, or the file is unreadable or empty.
    """
    if not isinstance(value, str | Path):
        raise ValueError("must be the path of a file that contains only the secret")
    try:
        text = Path(value).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the secret file cannot be read: {error}") from error
    if not text:
        raise ValueError(f"the secret file {value} is empty; write the secret into it")
    return SecretStr(text)


SecretInFile = Annotated[SecretStr, BeforeValidator(read_secret)]
"""A secret that is configured as the path of a file, read when the settings are loaded."""


def is_loopback(host: str) -> bool:
    """Return whether a name or address is a loopback one (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_ip_address(host: str) -> bool:
    """Return whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def validate_stream_name(name: str) -> str:
    """Return the name of a stream if it is valid: it is part of URLs and MQTT topics.

    Raises:
        ValueError: If it is not valid.
    """
    if not _STREAM_NAME.fullmatch(name):
        raise ValueError(
            f"{name[:60]!r} is not a valid name; use 1 to 40 characters of a-z, 0-9, _ and -, and "
            "start with a letter or digit"
        )
    return name
