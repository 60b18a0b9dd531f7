"""A source whose frames arrive when they please.

A read from a camera or a network peer blocks until something arrives, and FFmpeg offers no way to
end it from another thread. So a thread of its own reads, and hands over through one slot: the
caller never waits longer than it wants to, whatever the peer does.

A camera of this machine as a source, through Video4Linux2.
"""

import errno
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer

from stream.sources.decoding import MediaTime, find_video, read_pictures
from stream.sources.source import Source, SourceError, SourceFrame

CLOSE_WAIT_S = 1.0
"""How long closing waits for the reading thread. One that is stuck in a read ends by itself, and
frees the container, when its read times out."""

OPTIONS = {
    # AVFMT_FLAG_NONBLOCK: a camera that delivers nothing must not hold the reader for ever. The
    # flag has no name among FFmpeg's options.
    "fflags": "+4",
    "fpsprobesize": "0",
}


class _Silence(Exception):
    """A live source has sent nothing for as long as it may."""


class ReaderSource(Source):
    """The pictures of an opened container, read by a thread of its own.

    A live source is read as fast as it sends, and a frame that nobody took is replaced by the
    next; a recorded one waits for its frames to be taken.
    """

    def __init__(
        self, container: InputContainer, name: str, *, live: bool, read_timeout_s: float
    ) -> None:
        """Look for the video; reading begins with `frames`.

        Args:
            container: an opened container, which the source closes from now on.
            name: what to call the source, without credentials.
            live: whether the container plays in real time.
            read_timeout_s: how long a live source may send no picture before it counts as lost.

        Raises:
            SourceError: the container holds no video that can be decoded.
        """
        self.live = live
        self.name = name
        self._read_timeout_s = read_timeout_s
        self._container = container
        try:
            self._video = find_video(container, name)
        except SourceError:
            container.close()
            raise
        # Guards what follows, and is told of every change to it.
        self._changed = threading.Condition()
        self._slot: SourceFrame | None = None
        self._closed = False
        self._ended = False
        self._error: SourceError | None = None
        self._thread: threading.Thread | None = None

    def frames(self) -> Iterator[SourceFrame]:
        """Give the frames as they come: of a live source the newest.

        Raises:
            SourceError: the source failed, or sent no picture for the read timeout.
        """
        self._start()
        while (frame := self._take()) is not None:
            yield frame

    def _start(self) -> None:
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._read, name=f"source {self.name}", daemon=True
                )
                self._thread.start()

    def _take(self) -> SourceFrame | None:
        with self._changed:
            came = self._changed.wait_for(
                lambda: self._slot is not None or self._ended or self._closed,
                self._read_timeout_s,
            )
            if self._closed:
                return None
            if not came:
                raise self._lost()
            frame, self._slot = self._slot, None
            self._changed.notify_all()
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def _lost(self) -> SourceError:
        return SourceError(
            f"{self.name} has sent no picture for {self._read_timeout_s:g} s: check that it is "
            "still on and connected"
        )

    def _read(self) -> None:
        """Run the reading thread."""
        error: SourceError | None = None
        try:
            self._read_until_closed()
        except (av.error.ExitError, av.error.TimeoutError, _Silence):
            error = self._lost()
        except av.FFmpegError as reason:
            error = SourceError(
                f"{self.name} broke off ({reason.strerror}): check that it is still on and "
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
        reading = read_pictures(self._container, self._video)
        asked = time.monotonic()
        try:
            for _, pictures in reading:
                if self._closed:
                    return
                if self.live and time.monotonic() - asked >= self._read_timeout_s:
                    # FFmpeg gives up a picture of long ago only when it gives up waiting.
                    raise _Silence
                for picture in pictures:
                    # A live peer's timestamps may jump when it sets its clock; ours do not.
                    now = time.monotonic()
                    started = now if started is None else started
                    position_s = now - started if self.live else media_time.of(picture)
                    self._hand_over(SourceFrame(picture, position_s, time.time()))
                asked = time.monotonic()
        finally:
            reading.close()

    def _hand_over(self, frame: SourceFrame) -> None:
        with self._changed:
            if not self.live:
                self._changed.wait_for(lambda: self._slot is None or self._closed)
            self.replaced += self._slot is not None
            self._slot = None if self._closed else frame
            self._changed.notify_all()

    def close(self) -> None:
        """End `frames` at once, and wait a moment for the reading to end too."""
        with self._changed:
            self._closed = True
            self._slot = None
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            self._container.close()
        else:
            thread.join(CLOSE_WAIT_S)


class DeviceSource(ReaderSource):
    """A camera at a device file such as `/dev/video0`."""

    def __init__(
        self, path: Path, *, open_timeout_s: float = 5.0, read_timeout_s: float = 10.0
    ) -> None:
        """Open the camera.

        Args:
            path: the device file.
            open_timeout_s: how long to wait for the camera to start, in seconds.
            read_timeout_s: how long to wait for each picture, in seconds.

        Raises:
            SourceError: the camera is absent, in use, not permitted or no camera.
        """
        try:
            container = av.open(
                str(path),
                format="v4l2",
                options=OPTIONS,
                timeout=(open_timeout_s, read_timeout_s),
            )
        except av.FFmpegError as error:
            raise SourceError(f"{path} {_reason(error, open_timeout_s)}") from error
        super().__init__(container, str(path), live=True, read_timeout_s=read_timeout_s)


def _reason(error: av.FFmpegError, open_timeout_s: float) -> str:
    cameras = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*")))
    match error.errno:
        case errno.ENOENT | errno.ENXIO:
            return f"is not there: connect the camera, or choose of: {cameras or 'none found'}"
        case errno.EBUSY:
            return "is in use by another program: close that program"
        case errno.EACCES | errno.EPERM:
            return "may not be opened by this user: add the user to the group `video`"
        case errno.ENOTTY | errno.ENODEV | errno.EINVAL:
            # A camera often has a second device file, which gives no pictures.
            return f"is no camera that sends pictures: choose of: {cameras or 'none found'}"
        case _ if isinstance(error, av.error.ExitError):
            return f"sent no picture within {open_timeout_s:g} s: unplug it and plug it in again"
    return f"cannot be opened as a camera ({error.strerror})"
