"""A network camera or stream as a source."""

import time
from urllib.parse import SplitResult, urlsplit

import av
from av.container import InputContainer
from av.error import (
    ConnectionRefusedError,
    HTTPError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)

from stream.sources.reader import ReaderSource
from stream.sources.source import SourceError

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp")
SEGMENTED = {"hls", "dash"}
"""Formats of which every piece holds some seconds of video (RFC 8216, ISO/IEC 23009-1)."""

OPTIONS = {
    # TCP gets through firewalls, and loses no packets; cameras without it are asked over UDP.
    "rtsp_flags": "prefer_tcp",
    # A playlist from the network may name other addresses, but no files of this machine.
    "protocol_whitelist": "http,https,httpproxy,tcp,tls,crypto,data,udp,rtp,srtp,rtmp,rtmps,rtsp",
    # FFmpeg would measure the frame rate over twenty frames: of a slow camera, too long to wait.
    "fpsprobesize": "0",
}


class UrlSource(ReaderSource):
    """An RTSP, HTTP, RTMP or UDP stream.

    A video file behind HTTP is read as its frames are taken, and so is what comes in segments;
    everything else is live.
    """

    def __init__(
        self, url: str, *, open_timeout_s: float = 5.0, read_timeout_s: float = 10.0
    ) -> None:
        """Connect, and find out what is sent.

        Args:
            url: the address, which may hold a user name and password.
            open_timeout_s: how long to wait for the first answer, in seconds; finding out what the
                answer holds may take as long again.
            read_timeout_s: how long to wait for each picture, in seconds.

        Raises:
            SourceError: the address is malformed, nobody answers there, or not with video.
        """
        address = split_address(url)
        name = _name(address)
        begun = time.monotonic()
        try:
            container = _open(url, open_timeout_s, read_timeout_s)
        except av.FFmpegError as error:
            # Not chained: FFmpeg's own message repeats the address, password and all.
            timed_out = time.monotonic() - begun >= open_timeout_s
            reason = _too_late(open_timeout_s) if timed_out else _reason(error)
            raise SourceError(f"{name} {reason}") from None
        recorded = address.scheme in ("http", "https") and (
            container.duration is not None or _comes_in_pieces(container)
        )
        super().__init__(container, name, live=not recorded, read_timeout_s=read_timeout_s)


def split_address(url: str) -> SplitResult:
    """Take an address apart.

    Raises:
        SourceError: it is malformed; the message does not repeat it, nor what it may hold.
    """
    try:
        address = urlsplit(url)
        _ = address.port
    except ValueError:
        raise SourceError(
            "the address of the source is malformed: write it as rtsp://host:port/path"
        ) from None
    if address.scheme not in SCHEMES:
        raise SourceError(
            f"no source speaks {address.scheme}://: give one of "
            + ", ".join(f"{scheme}://" for scheme in SCHEMES)
        )
    if not address.hostname and address.scheme != "udp":
        raise SourceError(
            f"the address of the source names no host: write it as {address.scheme}://host/path"
        )
    return address


def _name(address: SplitResult) -> str:
    """Say which host it is; user, path and query may each hold a password or a stream's key."""
    if "@" in address.path + address.query + address.fragment:
        # Of a password with a slash that is not escaped, the host is the beginning.
        return f"the {address.scheme} source"
    host = address.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{address.port}" if address.port else ""
    return f"{address.scheme}://{host}{port}"


def _open(url: str, open_timeout_s: float, read_timeout_s: float) -> InputContainer:
    return av.open(
        url,
        options=OPTIONS,
        metadata_errors="replace",
        timeout=(open_timeout_s, read_timeout_s),
    )


def _comes_in_pieces(container: InputContainer) -> bool:
    """Tell whether pictures come some seconds at once, and not when they are taken.

    So do those of a live broadcast in segments (HLS, DASH). A picture by itself, as many cameras
    have at an address of its own, is a very short recording.
    """
    # A demuxer may have several names.
    names = container.format.name.split(",")
    return any(name in SEGMENTED or name.endswith("_pipe") for name in names)


def _too_late(open_timeout_s: float) -> str:
    return (
        f"sent no video within {open_timeout_s:g} s: check the address, and that no firewall is "
        "in between"
    )


def _reason(error: av.FFmpegError) -> str:
    match error:
        case HTTPNotFoundError():
            return "answered 404 Not Found: check the path of the address"
        case HTTPUnauthorizedError() | HTTPForbiddenError():
            return (
                f"refused access ({error.strerror}): put the user name and password into the "
                "address, as in rtsp://user:password@host/path"
            )
        case HTTPError():
            return f"answered with an error ({error.strerror}): check the address, or try later"
        case ConnectionRefusedError():
            return "refused the connection: check that it is on and that the port is right"
        case InvalidDataError():
            return "answered, but with no video: check the path of the address"
    return f"could not be reached ({error.strerror}): check the host name and the network"
