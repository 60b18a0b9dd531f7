"""What bounds a live session; every number can be set.

A secret that stands in a file of its own, and not in the configuration.

What a host is, by its name or address.

What a stream that can be watched may be called: it stands in addresses and topics.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class StreamSettings(BaseModel):
    """Settings of live sessions, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: int = Field(8, ge=1, le=1000)
    """Live sessions at once; more are refused with 503 and Retry-After."""
    viewers: int = Field(32, ge=1, le=1000)
    """Viewers of feeds and of published sessions at once, of all together; more are refused."""
    interval_s: float = Field(1.0, ge=0.25, le=10)
    """Seconds between captions; a client may choose another in 0.25..10."""
    beam_width: int | None = Field(None, ge=1, le=5)
    """Beam width of the search; the captioner's own by default."""
    sdp_bytes: int = Field(65_536, ge=1024)
    """Largest SDP of an offer."""
    message_bytes: int = Field(4096, ge=256)
    """Largest message that a client may send on the data channel."""
    messages_per_s: float = Field(10, gt=0)
    """Messages that a client may send on the data channel, on average."""
    connect_s: float = Field(15, gt=0)
    """How long a session may take to connect."""
    vanished_s: float = Field(8, ge=2)
    """A connected peer of which nothing at all is heard for so long is gone."""
    idle_s: float = Field(60, gt=0)
    """A session without a new picture for so long is ended."""
    session_s: float = Field(12 * 3600, gt=0)
    """A session is ended after so long."""
    explanation_share: float = Field(0.25, ge=0, le=1)
    """Of the captioner's time, what the maps that come with one session's captions may take."""
    explanation_s: float = Field(60, gt=0)
    """How long an explanation that a client asked for may take."""
    analyses: int = Field(2, ge=1, le=8)
    """Long analyses at once, of all clients together; more are refused."""
    analysis_s: float = Field(180, gt=0)
    """How long an analysis may take."""
    analysis_kept_s: float = Field(900, gt=0)
    """How long what it found is kept."""


def read_secret(value: object) -> SecretStr:
    """Read the secret that a setting names the file of.

    Args:
        value: The file's path.

    Raises:
        ValueError: If it is no path, or the file cannot be read or is empty.
    """
    if not isinstance(value, str | Path):
        raise ValueError("give the path of a file that holds the secret and nothing else")
    try:
        text = Path(value).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(f"the secret cannot be read: {problem}") from problem
    if not text:
        raise ValueError(f"{value} is empty: write the secret into it")
    return SecretStr(text)


SecretInFile = Annotated[SecretStr, BeforeValidator(read_secret)]
"""Set as a path; its value is what the file held when the settings were read."""


def is_loopback(host: str) -> bool:
    """Whether a name or address is one of the loopback's (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_stream_name(name: str) -> str:
    """Return the name.

    Raises:
        ValueError: If it is none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:60]!r} is no name: use 1 to 40 of a-z, 0-9, _ and -, a letter or digit first"
        )
    return name
