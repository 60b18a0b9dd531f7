"""A camera of this machine as a source, through Video4Linux2."""

import errno
from pathlib import Path

import av

from stream.sources.reader import ReaderSource
from stream.sources.source import SourceError

OPTIONS = {
    # AVFMT_FLAG_NONBLOCK: a camera that delivers nothing must not hold the reader for ever. The
    # flag has no name among FFmpeg's options.
    "fflags": "+4",
    "fpsprobesize": "0",
}


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
