"""A source that a thread of its own reads, for cameras and network streams.

A read from a camera or a network peer blocks until data arrives, and FFmpeg offers no way to end it
from another thread. The reading thread therefore hands frames over through one slot, and the caller
never waits longer than its timeout.
"""

import threading
import time
from collections.abc import Generator, Iterator
from typing import Protocol

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.clock import boottime
from stream.sources.arrival_delay import ArrivalDelay
from stream.sources.decoding import (
    MediaTime,
    decode_packets,
    is_complete_with_next,
    select_video_stream,
)
from stream.sources.source import Source, SourceError, SourceFrame

_JOIN_S = 1.0
"""How long `close` waits for the reading thread. A thread that is stuck in a read ends, and frees
the container, when its read times out."""


_KEY_FRAME_INTERVALS = 2
_FIRST_FRAME_INTERVALS = 3
"""In intervals of the read timeout: how long to wait for a key frame before incomplete frames
count, and how long for any frame, while packets arrive. Many cameras send a key frame every ten
seconds."""

_SKIP_PAUSE_S = 0.3
_MAX_SKIP_S = 3.0
"""Frames that a peer has kept count as skipped after a pause of `_SKIP_PAUSE_S`, or after this time
in all."""


class ImageStream(Protocol):
    """Images that arrive over a connection."""

    def images(self) -> Generator[list[av.VideoFrame], None, None]:
        """Yield images as they arrive, or an empty list while none does."""

    def close(self) -> None:
        """Close the connection."""


class Connection(Protocol):
    """A connection that a container is read from."""

    def cancel(self) -> None:
        """End reading, from any thread; a read that is waiting first receives or times out."""

    def close(self) -> None:
        """Close the connection; nothing may be reading."""


class _ReadTimeout(Exception):
    """A live source has sent no frame within the read timeout."""


class ThreadedSource(Source):
    """The video of an opened container, or other frames that arrive over a connection.

    A live source is read as fast as it sends, and a frame that was not taken is replaced by the
    next. A recorded one waits until each frame was taken.
    """

    def __init__(
        self,
        frames: "InputContainer | ImageStream",
        name: str,
        *,
        live: bool,
        read_timeout_s: float,
        max_pixels: int,
        endless: bool | None = None,
        delay_s: float = 0.0,
        connection: Connection | None = None,
    ) -> None:
        """Select the video stream; reading starts with `frames`.

        Args:
            frames: An opened container, or decoded images; the source closes it.
            name: Name for logs and messages, without credentials.
            live: Whether the frames arrive as they are captured.
            read_timeout_s: How long a live source may send no frame before it counts as lost, in
                seconds.
            max_pixels: Maximum width times height of a frame of a container.
            endless: Whether the stream has no end; by default, if it is live.
            delay_s: How long ago the first frame was captured, if the stream is endless but does
                not arrive as it is captured.
            connection: What the container is read from, if FFmpeg did not open it; the source
                closes it too.

        Raises:
            SourceError: If the container holds no video that can be decoded, or of larger frames.
        """
        self.live = live
        self.name = name
        self.endless = live if endless is None else endless
        self._first_captured = time.monotonic() - delay_s
        self._read_timeout_s = read_timeout_s
        self._input, self._connection = frames, connection
        self._video: VideoStream | None = None
        if isinstance(frames, InputContainer):
            try:
                self._video = select_video_stream(frames, name, max_pixels)
            except SourceError:
                self._close_input()
                raise
        # Guards the attributes below, and is notified of every change to them.
        self._changed = threading.Condition()
        self._slot: SourceFrame | None = None
        self._closed = False
        self._ended = False
        self._error: SourceError | None = None
        self._thread: threading.Thread | None = None
        self._started = time.monotonic()
        self._has_decoded = False
        self._packet_arrived = float("-inf")
        """When the last packet before the first frame arrived, on the monotonic clock."""
        self._arrival_delay = ArrivalDelay()

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the frames as they arrive: of a live source the latest.

        Raises:
            SourceError: If the source fails, or sends no frame within the read timeout.
        """
        self._start()
        self._skip_kept_frames()
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
            self._close_input()
            return
        if self._connection:
            self._connection.cancel()
        thread.join(_JOIN_S)

    def _close_input(self) -> None:
        self._input.close()
        if self._connection:
            self._connection.close()

    def _start(self) -> None:
        with self._changed:
            if self._thread is None and not self._closed:
                self._started = time.monotonic()
                self._thread = threading.Thread(
                    target=self._read, name=f"source {self.name}", daemon=True
                )
                self._thread.start()

    def _skip_kept_frames(self) -> None:
        """Wait while the first frames arrive faster than they were captured, for the newest one.

        Many servers first send what they have kept since the last key frame, and FFmpeg keeps what
        it has read to detect the format.
        """
        until = time.monotonic() + _MAX_SKIP_S
        with self._changed:
            if not self.live:
                return
            if not self._wait_for_change():
                raise self._timeout_error()
            while (
                self._slot is not None
                and self._arrival_delay.starts_late
                and time.monotonic() < until
                and self._changed.wait(_SKIP_PAUSE_S)
            ):
                pass

    def _wait_for_change(self) -> bool:
        """Wait until there is a frame or there will be none; return False after the timeout."""
        timeout_s = self._read_timeout_s
        while not self._changed.wait_for(
            lambda: self._slot is not None or self._ended or self._closed, timeout_s
        ):
            if self._has_decoded:
                return False
            # The camera is on: it only has to send a key frame.
            latest = self._started + _FIRST_FRAME_INTERVALS * self._read_timeout_s
            until = min(self._packet_arrived + self._read_timeout_s, latest)
            timeout_s = until - time.monotonic()
            if timeout_s <= 0:
                return False
        return True

    def _take(self) -> SourceFrame | None:
        with self._changed:
            in_time = self._wait_for_change()
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

    def _lost_error(self, reason: str) -> SourceError:
        return SourceError(
            f"{self.name} stopped sending ({reason}); check that it is on and connected"
        )

    def _read(self) -> None:
        """Read in the thread until the source ends, fails or is closed."""
        error: SourceError | None = None
        try:
            self._read_until_closed()
            if self.endless:
                error = self._lost_error("end of the stream")
        except (av.error.ExitError, av.error.TimeoutError, _ReadTimeout):
            error = self._timeout_error()
        except SourceError as reason:
            error = reason
        except av.FFmpegError as reason:
            error = self._lost_error(str(reason.strerror))
        finally:
            self._close_input()
            with self._changed:
                self._ended, self._error = True, error
                self._changed.notify_all()

    def _read_until_closed(self) -> None:
        started: float | None = None
        captured = float("-inf")
        position_of = MediaTime(self._video).position_of if self._video else None
        batches = self._decode()
        waiting_since = time.monotonic()
        try:
            for arrived, images in batches:
                if self._closed:
                    return
                if self.live and time.monotonic() - waiting_since >= self._read_timeout_s:
                    # After a long silence FFmpeg may still return an outdated frame.
                    raise _ReadTimeout
                self._has_decoded = self._has_decoded or bool(images)
                for image in images:
                    # A live peer's timestamps may jump when its clock is set; this clock does not.
                    now = time.monotonic()
                    started = now if started is None else started
                    position_s = now - started
                    if position_of and not self.live:
                        position_s = position_of(image)
                    if self.endless and not self.live:
                        arrived = min(now, self._first_captured + position_s)
                    elif self.live:
                        arrived -= self._arrival_delay.measure(image, arrived)
                    # An estimate; at least it never decreases.
                    captured = max(captured, arrived)
                    held_s = now - captured
                    times = time.time() - held_s, boottime() - held_s
                    self._hand_over(SourceFrame(image, position_s, *times, held_s))
                waiting_since = time.monotonic()
        finally:
            batches.close()

    def _decode(self) -> Generator[tuple[float, list[av.VideoFrame]], None, None]:
        """Yield frames with the time of the monotonic clock at which they arrived."""
        if not isinstance(self._input, InputContainer):
            for images in self._input.images():
                yield time.monotonic(), images
            return
        assert self._video is not None
        waits_for_next = self.live and is_complete_with_next(self._input, self._video)
        incomplete_after_s = _KEY_FRAME_INTERVALS * self._read_timeout_s
        packets = decode_packets(self._input, self._video, self.name, incomplete_after_s)
        previous = time.monotonic()
        try:
            for packet, images in packets:
                now = time.monotonic()
                yield previous if waits_for_next else now, images
                if packet and packet.stream is self._video:
                    previous = now
                    if not self._has_decoded:
                        self._packet_arrived = now
        finally:
            packets.close()

    def _hand_over(self, frame: SourceFrame) -> None:
        with self._changed:
            if not self.live:
                self._changed.wait_for(lambda: self._slot is None or self._closed)
            self.replaced += self._slot is not None and not self._arrival_delay.starts_late
            self._slot = None if self._closed else frame
            self._changed.notify_all()
