"""A network camera or stream as a source."""

import contextlib
import re
import time
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

import av
from av.container import InputContainer
from av.error import (
    ConnectionRefusedError,
    ExitError,
    HTTPError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)

from stream.settings import MAX_FRAME_PIXELS
from stream.sources.decoding import PROBE_OPTIONS
from stream.sources.hls import delay_of_first_segment, is_playlist, variant_of
from stream.sources.http_response import (
    HttpResponse,
    declares_mp4_duration,
    is_mp4,
    is_text,
)
from stream.sources.motion_jpeg import MotionJpeg, is_motion_jpeg
from stream.sources.source import SourceError
from stream.sources.threaded import ThreadedSource

_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp")
_SEGMENTED_FORMATS = {"hls", "dash"}
"""Formats that deliver video in segments of some seconds (RFC 8216, ISO/IEC 23009-1)."""

_MISTYPED_SCHEME = re.compile(rf"(?i)(?:{'|'.join(_SCHEMES)})(?::|//)")
_UNPRINTABLE = re.compile(r"[\0-\x20\x7f]")

_OPTIONS = {
    **PROBE_OPTIONS,
    # TCP passes firewalls and loses no packets; for cameras without it FFmpeg falls back to UDP.
    "rtsp_flags": "prefer_tcp",
    # A playlist from the network may refer to other URLs, but never to files of this machine.
    "protocol_whitelist": "http,https,httpproxy,tcp,tls,crypto,data,udp,rtp,srtp,rtmp,rtmps,rtsp",
    # By default FFmpeg measures the frame rate over twenty frames: too long for a slow camera.
    "fpsprobesize": "0",
    # Enough to find the streams, in microseconds; by default FFmpeg waits for 5 s of video.
    "analyzeduration": "1000000",
}
_RTSP_OPTIONS = {
    # The session description names the streams, so one packet is enough, in bytes.
    "probesize": "32",
}

_OPEN_TIMEOUT_S = 5.0


class UrlSource(ThreadedSource):
    """An RTSP, HTTP, RTMP or UDP stream.

    What has an end is read at the reader's pace: a video or image file behind HTTP. So is a
    broadcast in segments (HLS, DASH), whose frames arrive some seconds at once. Everything else is
    live.
    """

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: float | None = None,
        read_timeout_s: float = 10.0,
        max_pixels: int = MAX_FRAME_PIXELS,
    ) -> None:
        """Connect, and detect the format.

        Args:
            url: The URL, which may contain a user name and a password.
            open_timeout_s: How long to wait for the first response, in seconds; detecting the
                format may take as long again. By default it is long enough for two frames of a
                camera that sends one within `read_timeout_s`.
            read_timeout_s: How long to wait for each frame, in seconds.
            max_pixels: Maximum width times height of a frame.

        Raises:
            SourceError: If the URL is malformed, or the server does not respond with video.
        """
        address = parse_source_url(url)
        name = _name_without_credentials(address)
        timeouts = (open_timeout_s or max(_OPEN_TIMEOUT_S, 2 * read_timeout_s), read_timeout_s)
        started = time.monotonic()
        try:
            # FFmpeg knows schemes in lower case only.
            url = address.scheme + url[len(address.scheme) :]
            stream = _open(url, address.scheme, name, timeouts, max_pixels)
        except (av.FFmpegError, TimeoutError) as error:
            # Not chained: FFmpeg's own message repeats the URL, including the password.
            waited_s = time.monotonic() - started
            timed_out = isinstance(error, ExitError | TimeoutError) or waited_s >= timeouts[0]
            reason = _describe_timeout(waited_s) if timed_out else _describe(error)
            raise SourceError(f"{name} {reason}") from None
        super().__init__(
            stream.frames,
            name,
            live=stream.endless and not stream.segmented,
            read_timeout_s=read_timeout_s,
            endless=stream.endless,
            delay_s=stream.delay_s,
            max_pixels=max_pixels,
            connection=stream.connection,
        )


class _Opened(NamedTuple):
    """A stream that has proved to be one, and how to read it."""

    frames: InputContainer | MotionJpeg
    endless: bool
    segmented: bool = False
    delay_s: float = 0.0
    """How long ago the first frame of a segmented stream was captured, in seconds."""
    connection: HttpResponse | None = None
    """The response that the container is read from, unless FFmpeg sent another request."""


def _open(
    url: str, scheme: str, name: str, timeouts: tuple[float, float], max_pixels: int
) -> _Opened:
    if scheme not in ("http", "https"):
        options = _OPTIONS | (_RTSP_OPTIONS if scheme.startswith("rtsp") else {})
        return _Opened(_open_container(url, options, timeouts), endless=True)
    open_timeout_s, read_timeout_s = timeouts
    with contextlib.ExitStack() as stack:
        response = stack.enter_context(
            HttpResponse(url, min(_OPEN_TIMEOUT_S, open_timeout_s), read_timeout_s)
        )
        if response.inspect(is_motion_jpeg):
            images = MotionJpeg(response, time.monotonic() + open_timeout_s, name, max_pixels)
            stack.pop_all()
            return _Opened(images, images.endless)
        mp4, has_end = response.inspect(is_mp4), response.has_length
        if mp4 and not has_end:
            has_end = response.inspect(declares_mp4_duration)
        if not response.has_length and not response.inspect(is_text):
            # Many cameras serve one client only, and notice late that it has gone.
            response.deadline = time.monotonic() + open_timeout_s
            container = _open_container(response, _OPTIONS, timeouts)
            response.deadline = None
            stack.pop_all()
            is_endless = _is_endless(container, has_end=has_end, mp4=mp4)
            return _Opened(container, is_endless, connection=response)
        playlist = response.text() if response.inspect(is_playlist) else ""
    # Without it, the delay is unknown; FFmpeg reports what is wrong.
    if variant := variant_of(playlist):
        with (
            contextlib.suppress(av.FFmpegError),
            HttpResponse(urljoin(url, variant), timeouts[0], read_timeout_s) as response,
        ):
            playlist = response.text()
    container = _open_container(url, _OPTIONS, timeouts)
    if _format_names(container) & _SEGMENTED_FORMATS:
        delay_s, endless = delay_of_first_segment(playlist), not _has_duration(container)
        return _Opened(container, endless, segmented=True, delay_s=delay_s)
    return _Opened(container, _is_endless(container, has_end=has_end, mp4=mp4))


def _open_container(
    source: str | HttpResponse, options: dict[str, str], timeouts: tuple[float, float]
) -> InputContainer:
    return av.open(source, "r", options=options, metadata_errors="replace", timeout=timeouts)


def _is_endless(container: InputContainer, *, has_end: bool, mp4: bool) -> bool:
    # Of an MP4 file that declares no duration, FFmpeg returns that of the fragments so far.
    has_end = has_end or (_has_duration(container) and not mp4)
    # A single image, as many cameras offer, has an end too.
    return not has_end and not any(name.endswith("_pipe") for name in _format_names(container))


def _has_duration(container: InputContainer) -> bool:
    return (container.duration or 0) > 0


def _format_names(container: InputContainer) -> set[str]:
    """Return the names of the container's demuxer, which may have several."""
    return set(container.format.name.split(","))


def is_url(spec: str) -> bool:
    """Return whether a source is a URL, with or without a mistake in its scheme's `://`."""
    return "://" in spec or _MISTYPED_SCHEME.match(spec) is not None


def parse_source_url(url: str) -> SplitResult:
    """Split and check the URL of a source (RFC 3986).

    A character of a password that ends the host for one program and not for another would send the
    rest of the password to a wrong host, so such URLs are refused.

    Raises:
        SourceError: If it is malformed. The message repeats no part of it but the scheme, because
            it may contain a password.
    """
    if _UNPRINTABLE.search(url):
        raise SourceError("the source's URL contains a space or a line break; write a space as %20")
    try:
        address = urlsplit(url)
        _ = address.port
    except ValueError:
        raise _malformed(url) from None
    if "://" not in url:
        raise SourceError(
            "the source's URL has a mistyped scheme; write it as rtsp://host/path or "
            "http://host/path"
        )
    if address.scheme not in _SCHEMES:
        scheme = f"{address.scheme}://" if address.hostname and url.count("@") < 2 else "this URL"
        raise SourceError(
            f"sources with {scheme} are not supported; use one of "
            + ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        )
    if url.count("@") > ("@" in address.netloc):
        raise _malformed(url)
    if not address.hostname and address.scheme != "udp":
        raise SourceError(f"the source's URL has no host; write it as {address.scheme}://host/path")
    return address


def _malformed(url: str) -> SourceError:
    if "@" in url:
        return SourceError(
            "the source's URL is ambiguous; percent-encode special characters of the user name, "
            "the password and the path: write @ as %40, : as %3A, / as %2F, ? as %3F and # as %23"
        )
    return SourceError("the source's URL is malformed; write it as rtsp://host:port/path")


def _name_without_credentials(address: SplitResult) -> str:
    """Name a source by scheme, host and port.

    User, path and query are left out, since each may contain a password or a stream key.
    """
    host = address.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{address.port}" if address.port else ""
    return f"{address.scheme}://{host}{port}"


def _describe_timeout(waited_s: float) -> str:
    return (
        f"sent no video within {round(waited_s, 1):g} s; check the URL, and that no firewall "
        "blocks the connection"
    )


def _describe(error: av.FFmpegError | TimeoutError) -> str:
    match error:
        case HTTPNotFoundError():
            return "responded with 404 Not Found; check the path of the URL"
        case HTTPUnauthorizedError() | HTTPForbiddenError():
            return (
                f"denied access ({error.strerror}); put the user name and password into the URL, "
                "as in rtsp://user:password@host/path"
            )
        case HTTPError():
            return f"responded with an error ({error.strerror}); check the URL, or try again later"
        case ConnectionRefusedError():
            return "refused the connection; check that it is on and that the port is right"
        case InvalidDataError():
            return "sent no video; check the path of the URL"
    return f"cannot be reached ({error.strerror}); check the host name and the network"
