"""A source that a thread of its own reads, for cameras and network streams.

A read from a camera or a network peer blocks until data arrives, and FFmpeg offers no way to end it
from another thread. The reading thread therefore hands frames over through one slot, and the caller
never waits longer than its timeout.
"""

import threading
import time
from collections.abc import Iterator

import av
from av.container import InputContainer

from stream.sources.decoding import MediaTime, decode_packets, select_video_stream
from stream.sources.source import Source, SourceError, SourceFrame

_JOIN_S = 1.0
"""How long `close` waits for the reading thread. A thread that is stuck in a read ends, and frees
the container, when its read times out."""


class _ReadTimeout(Exception):
    """A live source has sent no frame within the read timeout."""


class ThreadedSource(Source):
    """The video of an opened container.

    A live source is read as fast as it sends, and a frame that was not taken is replaced by the
    next. A recorded one waits until each frame was taken.
    """

    def __init__(
        self, container: InputContainer, name: str, *, live: bool, read_timeout_s: float
    ) -> None:
        """Select the video stream; reading starts with `frames`.

        Args:
            container: An opened container, which the source closes.
            name: Name for logs and messages, without credentials.
            live: Whether the container plays in real time.
            read_timeout_s: How long a live source may send no frame before it counts as lost, in
                seconds.

        Raises:
            SourceError: If the container holds no video that can be decoded.
        """
        self.live = live
        self.name = name
        self._read_timeout_s = read_timeout_s
        self._container = container
        try:
            self._video = select_video_stream(container, name)
        except SourceError:
            container.close()
            raise
        # Guards the attributes below, and is notified of every change to them.
        self._changed = threading.Condition()
        self._slot: SourceFrame | None = None
        self._closed = False
        self._ended = False
        self._error: SourceError | None = None
        self._thread: threading.Thread | None = None

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the frames as they arrive: of a live source the latest.

        Raises:
            SourceError: If the source fails, or sends no frame within the read timeout.
        """
        self._start()
        while (frame := self._take()) is not None:
            yield frame

    def close(self) -> None:
        """End `frames` at once, and wait briefly for the reading thread to end."""
        with self._changed:
            self._closed = True
            self._slot = None
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            self._container.close()
        else:
            thread.join(_JOIN_S)

    def _start(self) -> None:
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._read, name=f"source {self.name}", daemon=True
                )
                self._thread.start()

    def _take(self) -> SourceFrame | None:
        with self._changed:
            in_time = self._changed.wait_for(
                lambda: self._slot is not None or self._ended or self._closed,
                self._read_timeout_s,
            )
            if self._closed:
                return None
            if not in_time:
                raise self._timeout_error()
            frame, self._slot = self._slot, None
            self._changed.notify_all()
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def _timeout_error(self) -> SourceError:
        return SourceError(
            f"{self.name} has sent no video for {self._read_timeout_s:g} s; check that it is on "
            "and connected"
        )

    def _read(self) -> None:
        """Read in the thread until the source ends, fails or is closed."""
        error: SourceError | None = None
        try:
            self._read_until_closed()
        except (av.error.ExitError, av.error.TimeoutError, _ReadTimeout):
            error = self._timeout_error()
        except av.FFmpegError as reason:
            error = SourceError(
                f"{self.name} stopped sending ({reason.strerror}); check that it is on and "
                "connected"
            )
        finally:
            self._container.close()
            with self._changed:
                self._ended, self._error = True, error
                self._changed.notify_all()

    def _read_until_closed(self) -> None:
        media_time = MediaTime(self._video)
        started: float | None = None
        packets = decode_packets(self._container, self._video)
        waiting_since = time.monotonic()
        try:
            for _, frames in packets:
                if self._closed:
                    return
                if self.live and time.monotonic() - waiting_since >= self._read_timeout_s:
                    # After a long silence FFmpeg may still return an outdated frame.
                    raise _ReadTimeout
                for image in frames:
                    # A live peer's timestamps may jump when its clock is set; this clock does not.
                    now = time.monotonic()
                    started = now if started is None else started
                    position_s = now - started if self.live else media_time.position_of(image)
                    self._hand_over(SourceFrame(image, position_s))
                waiting_since = time.monotonic()
        finally:
            packets.close()

    def _hand_over(self, frame: SourceFrame) -> None:
        with self._changed:
            if not self.live:
                self._changed.wait_for(lambda: self._slot is None or self._closed)
            self.replaced += self._slot is not None
            self._slot = None if self._closed else frame
            self._changed.notify_all()
