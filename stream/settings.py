"""Limits of live sessions, and validators that several groups of settings share."""

import codecs
import ipaddress
import os
import re
import select
import stat
import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

MAX_FRAME_PIXELS = 4096 * 3072
"""Default maximum of width times height of a frame: 4K, and cameras of 12 megapixels."""

_STREAM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MAX_FILE_BYTES = 1_000_000
_PIPE_TIMEOUT_S = 10.0


class StreamSettings(BaseModel):
    """Settings of live sessions, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: int = Field(8, ge=1, le=1000)
    """Live sessions at once; further ones are refused with 503 and Retry-After."""
    viewers: int = Field(32, ge=1, le=1000)
    """Viewers at once, of all feeds and shared sessions together; further ones are refused."""
    media_processes: Literal["auto"] | Annotated[int, Field(ge=0, le=64)] = "auto"
    """Largest number of processes over which sessions and feeds are spread; they are started as
    they are needed. `auto` for one a core but one, which is left to the captioner. With 0 or 1 the
    server's own process has all of them."""
    interval_s: float = Field(1.0, ge=0.25, le=10)
    """Seconds between captions; a client may choose another interval in 0.25..10."""
    beam_width: int | None = Field(None, ge=1, le=5)
    """Beam width of the search; the captioner's own by default."""
    frame_pixels: int = Field(MAX_FRAME_PIXELS, ge=640 * 480, le=2**26)
    """Maximum width times height of a frame of a feed or a peer; larger ones are refused. Images
    are scaled down."""
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


class UnreadableFile(ValueError):
    """A file cannot be read as text; the message gives the reason, without the path."""


def read_text_file(path: Path) -> str:
    """Read a short text file that a person wrote: UTF-8, with or without a byte order mark.

    Never waits for long: a pipe has to deliver its data within seconds.

    Raises:
        UnreadableFile: If there is no such file, it cannot be read, or it is no such text.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                # None from a file such as `/proc/kmsg`, which has no end to wait for.
                data = file.read(_MAX_FILE_BYTES + 1) or b""
            elif stat.S_ISFIFO(mode):
                data = _read_pipe(file.fileno())
            else:
                raise UnreadableFile("it is a device, not a file")
    except IsADirectoryError:
        raise UnreadableFile("it is a folder, not a file") from None
    except OSError as error:
        raise UnreadableFile((error.strerror or str(error)).lower()) from None
    if len(data) > _MAX_FILE_BYTES:
        raise UnreadableFile(f"it is larger than {_MAX_FILE_BYTES // 1_000_000} MB")
    # UTF-16 of ASCII text without a byte order mark is valid UTF-8 that contains null characters.
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        raise UnreadableFile("it is UTF-16 or binary; save it as UTF-8 text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile("it is not UTF-8 text; save it as UTF-8") from None


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe into which no program writes would otherwise never open."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read_pipe(descriptor: int) -> bytes:
    """Read a non-blocking pipe, such as the shell's `<(command)`, until its end."""
    data, deadline = b"", time.monotonic() + _PIPE_TIMEOUT_S
    while len(data) <= _MAX_FILE_BYTES:
        try:
            part = os.read(descriptor, _MAX_FILE_BYTES)
        except BlockingIOError:
            part = None
        if part == b"":
            break
        if part:
            data += part
        elif (left_s := deadline - time.monotonic()) > 0:
            select.select([descriptor], [], [], left_s)
        else:
            raise UnreadableFile(f"it is a pipe that did not end within {_PIPE_TIMEOUT_S:g} s")
    if not data:
        raise UnreadableFile("it is a pipe into which no program writes; use a file")
    return data


def _expand_user(path: Path) -> Path:
    if re.search(r"[\0\n]", str(path)):
        raise ValueError("must be the path of a file, not what the file contains")
    try:
        return path.expanduser()
    except RuntimeError:
        user = path.parts[0][:40]
        raise ValueError(f"the home folder of {user} is unknown; write the whole path") from None


UserPath = Annotated[Path, AfterValidator(_expand_user)]
"""A path that may begin with `~` or `~user`."""


def find_secret_file(path: Path, contents: str) -> Path:
    """Return the path of a file with a secret, with `~` replaced by the home folder.

    Raises:
        ValueError: If there is no such file. The message does not repeat the path, which may be
            the secret itself, written in the wrong place; it says that the file has to contain
            `contents`.
    """
    try:
        path = path.expanduser()
        exists = path.exists()
    except PermissionError:
        exists = True
    except (OSError, RuntimeError, ValueError):
        exists = False
    if not exists:
        raise ValueError(
            f"there is no such file; write the path of a file that contains {contents}, not "
            f"{contents} itself"
        )
    return path


def read_secret(value: object) -> SecretStr:
    """Read a secret from the file that a setting names.

    Args:
        value: Path of the file.

    Raises:
        ValueError: If the value is not a path, or the file is unreadable or empty. The message
            does not repeat a value that is not the path of a file: it may be the secret itself.
    """
    if not isinstance(value, str | Path):
        raise ValueError("must be the path of a file that contains only the secret")
    path = find_secret_file(Path(value), "the secret")
    try:
        text = read_text_file(path).strip()
    except UnreadableFile as error:
        raise ValueError(f"the secret file {path} cannot be read: {error}") from None
    if not text:
        raise ValueError(f"the secret file {path} is empty; write the secret into it")
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
