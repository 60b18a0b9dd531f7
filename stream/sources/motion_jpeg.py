"""Motion JPEG over HTTP: the JPEG images in the body of a response, whatever is between them.

Cameras send `multipart/x-mixed-replace` as they please: without a boundary before the first part,
without dashes in it, with a wrong type, length or line end, or without part headers. The images'
own markers (ITU-T T.81, Annex B) delimit them reliably.
"""

import errno
import itertools
import re
import time
from collections.abc import Generator, Iterator

import av
from av.error import InvalidDataError
from av.video.codeccontext import VideoCodecContext

from stream.sources.decoding import FrameCorrection, decode_packet
from stream.sources.http_response import HttpResponse

_MAX_IMAGE_BYTES = 32 * 2**20

_START = b"\xff\xd8\xff"
_SOI, _EOI = 0xD8, 0xD9
# Not a stuffed byte, a fill byte or a marker without a segment (TEM, RST0 to RST7).
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")

_BOUNDARY = rb"(?:\S{1,72}[\r\n]+)?"
_HEADER = rb"[A-Za-z][A-Za-z0-9-]*:[^\n]*\n"
_MULTIPART = re.compile(rb"\s*" + _BOUNDARY + rb"(?:--|" + _HEADER + rb")")
_TEXT = re.compile(rb"[\t\r\n -~]*")
_MAX_TEXT_BYTES = 1024


def is_motion_jpeg(head: bytes) -> bool | None:
    """Return whether a body starts as Motion JPEG, or None if more of it is needed.

    It starts with a boundary, a part's header, or text followed by an image.

    Args:
        head: The first bytes of the body.
    """
    text = _TEXT.match(head)
    rest = head[text.end() if text else 0 :]
    if _MULTIPART.match(head) or rest.startswith(_START):
        return True
    return None if len(head) < _MAX_TEXT_BYTES and _START.startswith(rest) else False


class _Splitter:
    """Splits a sequence of bytes into JPEG images, and skips everything between them."""

    def __init__(self) -> None:
        """Start before the first image."""
        self._buffer = bytearray()
        self._in_image = False
        # Where the next marker is searched.
        self._at = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes; yield the images that they complete.

        An image is complete at its end marker, or else where the next one starts.
        """
        self._buffer += data
        while self._in_image or self._find_start():
            marker = _MARKER.search(self._buffer, self._at)
            if marker is None:
                self._at = max(self._at, len(self._buffer) - 1)
                break
            if marker[1][0] == _EOI:
                yield self._cut(marker.end())
            elif marker[1][0] == _SOI:
                yield self._cut(marker.start())
            elif len(self._buffer) < marker.end() + 2:
                break
            else:
                # The length of a segment includes itself. A thumbnail is inside a segment.
                length = int.from_bytes(self._buffer[marker.end() : marker.end() + 2], "big")
                self._at = marker.end() + length
                if self._at > len(self._buffer):
                    break
        if len(self._buffer) > _MAX_IMAGE_BYTES:
            self._buffer.clear()
            self._in_image = False

    def _find_start(self) -> bool:
        start = self._buffer.find(_START)
        self._in_image = start >= 0
        del self._buffer[: start if self._in_image else max(0, len(self._buffer) - 2)]
        self._at = 2
        return self._in_image

    def _cut(self, end: int) -> bytes:
        image = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._in_image = False
        return image


class MotionJpeg:
    """The images in the body of a response: one, or without end."""

    def __init__(self, response: HttpResponse, deadline: float, name: str, max_pixels: int) -> None:
        """Wait for the first image.

        Args:
            response: The response, which `close` closes.
            deadline: Until when to wait, on the monotonic clock.
            name: Name of the source in error messages.
            max_pixels: Maximum width times height of an image.

        Raises:
            av.FFmpegError: If reading fails.
            InvalidDataError: If the body ends without an image.
            TimeoutError: If none has arrived by the deadline.
            SourceError: If an image is too large.
        """
        self._response, self._name, self._max_pixels = response, name, max_pixels
        chunks = response.chunks()
        head = next(chunks)
        self._batches = self._decode(itertools.chain([head], chunks))
        self._first = self._next_images(deadline)
        if not self._first:
            raise InvalidDataError(errno.EINVAL, "the body contains no JPEG image")
        self.endless = True
        """Whether the body has no end, as that of a camera."""
        if head.lstrip().startswith(_START) and len(self._first) == 1:
            # A single image, unless another follows.
            more = [] if response.has_length else self._next_images(deadline)
            self._first += more
            self.endless = bool(more)

    def images(self) -> Generator[list[av.VideoFrame], None, None]:
        """Yield images, upright, as soon as they are complete; an empty list while none is.

        Raises:
            av.FFmpegError: If reading fails.
            SourceError: If an image is too large.
        """
        yield self._first
        yield from self._batches

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def _next_images(self, deadline: float) -> list[av.VideoFrame]:
        """Return the next images, or an empty list at the end of the body."""
        for images in self._batches:
            if images:
                return images
            if time.monotonic() > deadline:
                raise TimeoutError
        return []

    def _decode(self, chunks: Iterator[bytes]) -> Generator[list[av.VideoFrame], None, None]:
        splitter = _Splitter()
        codec = av.CodecContext.create("mjpeg", "r")
        assert isinstance(codec, VideoCodecContext)
        # Several threads would delay frames.
        codec.thread_count = 1
        codec.options = {"max_pixels": str(self._max_pixels)}
        # The pixel density of an image is no aspect ratio.
        correction = FrameCorrection()
        for chunk in chunks:
            yield [
                correction.apply(frame, None)
                for image in splitter.feed(chunk)
                for frame in decode_packet(codec, av.Packet(image), self._name)
            ]
