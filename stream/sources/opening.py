"""Open the source that a user names on the command line or in the configuration."""

import stat
from pathlib import Path

from stream.sources.demo import DemoSource
from stream.sources.device import DeviceSource
from stream.sources.file import FileSource
from stream.sources.image import ImageSource, is_image
from stream.sources.source import Source, SourceError
from stream.sources.url import UrlSource

READ_TIMEOUT_S = 10.0
"""Default time that a live source may send no frame before it counts as lost, in seconds."""

_HINT = (
    "use demo, an image, a video file, a camera (/dev/video0 or its number) or a URL "
    "(rtsp://, http://)"
)


def open_source(spec: str, *, read_timeout_s: float = READ_TIMEOUT_S) -> Source:
    """Open a source.

    Blocks until the source has proved to be one, about ten seconds at most, so call it in a
    thread.

    Args:
        spec: `demo`, the path of an image or a video file, a camera's device file or its bare
            number, or a URL such as `rtsp://user:password@host/path`. Write `./demo` or `./0` to
            open a file of such a name.
        read_timeout_s: How long a camera or a URL may send no frame before it counts as lost, in
            seconds.

    Raises:
        SourceError: If the source does not exist or cannot be read.
    """
    if not spec:
        raise SourceError(f"no source given; {_HINT}")
    if spec == "demo":
        return DemoSource()
    if spec.isascii() and spec.isdigit():
        return DeviceSource(Path(f"/dev/video{int(spec)}"), read_timeout_s=read_timeout_s)
    if "://" in spec:
        return UrlSource(spec, read_timeout_s=read_timeout_s)
    return _open_path(spec, read_timeout_s)


def _open_path(spec: str, read_timeout_s: float) -> Source:
    path = Path(spec)
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_relative_to("/dev"):
            return DeviceSource(path, read_timeout_s=read_timeout_s)
        raise SourceError(f"{spec!r} does not exist; {_HINT}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{spec!r} cannot be read ({reason}); {_HINT}") from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{spec!r} is a folder; {_HINT}")
    if stat.S_ISCHR(status.st_mode):
        return DeviceSource(path, read_timeout_s=read_timeout_s)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{spec!r} is not a regular file; {_HINT}")
    if status.st_size == 0:
        raise SourceError(f"{spec} is empty; copy or record it again")
    return ImageSource(path) if is_image(path) else FileSource(path)
