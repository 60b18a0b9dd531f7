"""Open the source that a user names on the command line or in the configuration."""

import re
import stat
from pathlib import Path

from stream.settings import MAX_FRAME_PIXELS
from stream.sources.demo import DemoSource
from stream.sources.device import DeviceSource
from stream.sources.file import FileSource
from stream.sources.image import ImageSource, is_image
from stream.sources.source import Source, SourceError
from stream.sources.url import UrlSource, is_url, parse_source_url

READ_TIMEOUT_S = 15.0
"""Default time that a live source may send no frame before it counts as lost, in seconds. Many
cameras send a frame every ten seconds."""

_DEVICE = re.compile(r"/dev/[A-Za-z0-9/_-]+")

_HINT = (
    "use demo, an image, a video file, a camera (/dev/video0 or its number) or a URL "
    "(rtsp://, http://)"
)


def open_source(
    spec: str, *, read_timeout_s: float = READ_TIMEOUT_S, max_pixels: int = MAX_FRAME_PIXELS
) -> Source:
    """Open a source.

    Blocks until the source has proved to be one, so call it in a thread. A camera or a URL that
    does not respond may take several times `read_timeout_s`.

    Args:
        spec: `demo`, the path of an image or a video file, a camera's device file or its bare
            number, or a URL such as `rtsp://user:password@host/path`. Write `./demo` or `./0` to
            open a file of such a name.
        read_timeout_s: How long a camera or a URL may send no frame before it counts as lost, in
            seconds.
        max_pixels: Maximum width times height of a frame. A larger image is scaled down, other
            sources are refused.

    Raises:
        SourceError: If the source does not exist or cannot be read. Viewers read the message: of
            the source it repeats at most the scheme and host of a well-formed URL, or the name of
            an existing file, because anything else may be a mistyped URL with a password.
    """
    if not spec:
        raise SourceError(f"no source given; {_HINT}")
    if spec == "demo":
        return DemoSource()
    if spec.isascii() and spec.isdigit():
        return DeviceSource(
            Path(f"/dev/video{int(spec)}"), read_timeout_s=read_timeout_s, max_pixels=max_pixels
        )
    if "://" in spec:
        return UrlSource(spec, read_timeout_s=read_timeout_s, max_pixels=max_pixels)
    path = Path(spec)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and _DEVICE.fullmatch(spec):
            return DeviceSource(path, read_timeout_s=read_timeout_s, max_pixels=max_pixels)
        raise _no_path(spec, error) from None
    return _open_path(path, status.st_mode, status.st_size, read_timeout_s, max_pixels)


def _no_path(spec: str, error: OSError | ValueError) -> SourceError:
    if is_url(spec):
        parse_source_url(spec)
    if isinstance(error, FileNotFoundError):
        return SourceError(
            f"the source is neither an existing file nor a URL with its scheme; {_HINT}"
        )
    # A part of the path that is a file, a name that is too long, or a null byte.
    reason = getattr(error, "strerror", None) or "invalid characters"
    return SourceError(f"the source cannot be read ({reason}); {_HINT}")


def _open_path(path: Path, mode: int, size: int, read_timeout_s: float, max_pixels: int) -> Source:
    if stat.S_ISDIR(mode):
        raise SourceError(f"the source is a folder; {_HINT}")
    if stat.S_ISCHR(mode):
        return DeviceSource(path, read_timeout_s=read_timeout_s, max_pixels=max_pixels)
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path.name!r} is not a regular file; {_HINT}")
    if size == 0:
        raise SourceError(f"{path.name} is empty; copy or record it again")
    kind = ImageSource if is_image(path) else FileSource
    return kind(path, max_pixels=max_pixels)
