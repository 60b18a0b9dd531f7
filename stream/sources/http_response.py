"""The body of an HTTP response, of which the first bytes show how to read it."""

import errno
import time
from collections.abc import Callable, Iterator
from typing import Self

import av

_OPTIONS = {
    "protocol_whitelist": "http,https,httpproxy,tcp,tls",
    # Of the demuxer: a packet is what one read returns, at most as many bytes.
    "raw_packet_size": "65536",
}
_MAX_HEAD_BYTES = 2**20


class HttpResponse:
    """A response to a GET request, received by FFmpeg, which authenticates and follows redirects.

    A context manager that closes the connection, and a file object for `av.open`.
    """

    deadline: float | None = None
    """Until when `read` waits, on the monotonic clock."""

    def __init__(self, url: str, open_timeout_s: float, read_timeout_s: float) -> None:
        """Send the request, and receive the headers of the response.

        Args:
            url: The URL, which may contain a user name and a password.
            open_timeout_s: How long to wait for the headers, in seconds.
            read_timeout_s: How long to wait for more of the body, in seconds.

        Raises:
            av.FFmpegError: If the server does not respond with success.
        """
        # FFmpeg's demuxer for data returns the bytes as they arrive.
        self._container = av.open(
            url, format="data", options=_OPTIONS, timeout=(open_timeout_s, read_timeout_s)
        )
        self._packets = self._container.demux()
        self._head = b""
        self._canceled = False

    @property
    def has_length(self) -> bool:
        """Whether the headers state the length of the body."""
        # A negative error code if not.
        return self._container.size > 0

    def inspect(self, predicate: Callable[[bytes], bool | None]) -> bool:
        """Return what a predicate of the first bytes returns.

        Args:
            predicate: Called with the first bytes, and again with more while it returns None; False
                if the body ends before.

        Raises:
            av.FFmpegError: If reading fails.
        """
        while (result := predicate(self._head)) is None:
            if len(self._head) > _MAX_HEAD_BYTES or not (chunk := self._read()):
                return False
            self._head += chunk
        return result

    def text(self) -> str:
        """Return the whole body as text, or its first MiB.

        Raises:
            av.FFmpegError: If reading fails.
        """
        body = b""
        for chunk in self.chunks():
            body += chunk
            if len(body) > _MAX_HEAD_BYTES:
                break
        return body.decode(errors="replace")

    def chunks(self) -> Iterator[bytes]:
        """Yield the body from its start, as it arrives.

        Raises:
            av.FFmpegError: If reading fails.
        """
        yield self._head
        self._head = b""
        while chunk := self._read():
            yield chunk

    def read(self, size: int) -> bytes:
        """Return the next bytes of the body, at most `size`; empty at its end.

        Raises:
            av.FFmpegError: If reading fails.
            TimeoutError: After the deadline.
        """
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimeoutError
        data = self._head or self._read()
        self._head = data[size:]
        return data[:size]

    def cancel(self) -> None:
        """End the body, from any thread; a read that is waiting first receives or times out."""
        self._canceled = True

    def close(self) -> None:
        """Close the connection; nothing may be reading."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> bytes:
        if self._canceled:
            return b""
        try:
            packet = next(self._packets, None)
        except av.error.OSError as error:
            # How FFmpeg reports that the server has closed the connection.
            if error.errno == errno.EIO and not self.has_length:
                return b""
            raise
        return bytes(packet) if packet else b""


def is_text(head: bytes) -> bool | None:
    """Return whether a body starts as a playlist or as markup, or None if more of it is needed."""
    return head.lstrip()[:1] in (b"#", b"<") if head.strip() else None


def is_mp4(head: bytes) -> bool | None:
    """Return whether a body starts as an MP4 file, or None if more of it is needed."""
    return head[4:8] in (b"ftyp", b"styp", b"moov") if len(head) >= 8 else None


def declares_mp4_duration(head: bytes) -> bool | None:
    """Return whether the header of an MP4 file states its duration, or None if more is needed.

    A file in fragments, as live streams are sent, may state it as that of all fragments (ISO/IEC
    14496-12, `mvhd` and `mehd`).
    """
    moov, is_complete = next((box[1:] for box in _boxes(head) if box[0] == b"moov"), (b"", False))
    for kind, content, _ in _boxes(moov):
        if kind == b"mvhd" and _is_known(content, 16, 24):
            return True
        if kind == b"mvex" and any(
            name == b"mehd" and _is_known(extent, 4, 4) for name, extent, _ in _boxes(content)
        ):
            return True
    return False if is_complete else None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield each box's type, its content as far as it is there, and whether that is all of it."""
    start = 0
    while start + 16 <= len(data):
        size, header = int.from_bytes(data[start : start + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        if size < header:
            return
        end = start + size
        yield data[start + 4 : start + 8], data[start + header : end], end <= len(data)
        start = end


def _is_known(content: bytes, at: int, at_in_version_1: int) -> bool:
    """Return whether a box's duration is neither zero nor all ones, which means unknown."""
    wide = content[:1] == b"\1"
    start, length = (at_in_version_1, 8) if wide else (at, 4)
    duration = content[start : start + length]
    return len(duration) == length and duration.strip(b"\0") != b"" and set(duration) != {0xFF}
