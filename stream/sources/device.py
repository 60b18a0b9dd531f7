"""A camera of this machine as a source, through Video4Linux2."""

import errno
from pathlib import Path

import av

from stream.settings import MAX_FRAME_PIXELS
from stream.sources.decoding import PROBE_OPTIONS
from stream.sources.source import SourceError
from stream.sources.threaded import ThreadedSource

_OPTIONS = {
    **PROBE_OPTIONS,
    # AVFMT_FLAG_NONBLOCK, which has no name among FFmpeg's options: a camera that delivers nothing
    # must not block the reader forever.
    "fflags": "+4",
    "fpsprobesize": "0",
}


class DeviceSource(ThreadedSource):
    """A camera at a device file such as `/dev/video0`."""

    def __init__(
        self,
        path: Path,
        *,
        open_timeout_s: float = 5.0,
        read_timeout_s: float = 10.0,
        max_pixels: int = MAX_FRAME_PIXELS,
    ) -> None:
        """Open the camera.

        Args:
            path: The device file.
            open_timeout_s: How long to wait for the camera to start, in seconds.
            read_timeout_s: How long to wait for each frame, in seconds.
            max_pixels: Maximum width times height of a frame.

        Raises:
            SourceError: If the device is missing, in use, not permitted or not a camera.
        """
        try:
            container = av.open(
                str(path),
                format="v4l2",
                options=_OPTIONS,
                timeout=(open_timeout_s, read_timeout_s),
            )
        except av.FFmpegError as error:
            # What does not exist may be a mistyped password, and viewers read the message.
            name = "the camera" if error.errno == errno.ENOENT else path.name
            raise SourceError(f"{name} {_describe(error, open_timeout_s)}") from error
        super().__init__(
            container,
            path.name,
            live=True,
            read_timeout_s=read_timeout_s,
            max_pixels=max_pixels,
        )


def _describe(error: av.FFmpegError, open_timeout_s: float) -> str:
    devices = ", ".join(sorted(path.name for path in Path("/dev").glob("video*"))) or "none"
    match error.errno:
        case errno.ENOENT | errno.ENXIO:
            return f"does not exist; connect it or choose another (found: {devices})"
        case errno.EBUSY:
            return "is in use; close the program that uses it"
        case errno.EACCES | errno.EPERM:
            return "cannot be opened: permission denied; add your user to the group video"
        case errno.ENOTTY | errno.ENODEV | errno.EINVAL:
            # Many cameras have a second device file, which delivers no video.
            return f"is not a video camera; choose another (found: {devices})"
        case _ if isinstance(error, av.error.ExitError):
            return f"sent no video within {open_timeout_s:g} s; unplug it and plug it in again"
    return f"cannot be opened as a camera ({error.strerror})"
