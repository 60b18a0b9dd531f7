"""From what a user names to the source that it means."""

import stat
from pathlib import Path

from stream.sources.demo import DemoSource
from stream.sources.file import FileSource
from stream.sources.image import ImageSource, is_image
from stream.sources.reader import DeviceSource
from stream.sources.source import Source, SourceError
from stream.sources.url import UrlSource

KINDS = (
    "give `demo`, a picture, a video file, a camera (/dev/video0 or its number) or an address "
    "(rtsp://, http://)"
)


SILENCE_S = 10.0
"""How long a live source may send no picture before it counts as lost, in seconds."""


def open_source(spec: str, *, silence_s: float = SILENCE_S) -> Source:
    """Open the source that a user names.

    Opening takes as long as the source needs to show that it is one, at most about ten seconds,
    so call it in a thread that may block.

    Args:
        spec: `demo`, the path of a picture or a video file, a camera's device file or its bare
            number, or an address such as `rtsp://user:password@host/path`. A file that is named
            like one of the others is opened as `./demo`, `./0`.
        silence_s: how long a camera or an address may send no picture before it counts as lost.

    Raises:
        SourceError: there is no such source, or it cannot be read.
    """
    if not spec:
        raise SourceError(f"no source is named: {KINDS}")
    if spec == "demo":
        return DemoSource()
    if spec.isascii() and spec.isdigit():
        return DeviceSource(Path(f"/dev/video{int(spec)}"), read_timeout_s=silence_s)
    if "://" in spec:
        return UrlSource(spec, read_timeout_s=silence_s)
    return _open_path(spec, silence_s)


def _open_path(spec: str, silence_s: float) -> Source:
    path = Path(spec)
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_relative_to("/dev"):
            return DeviceSource(path, read_timeout_s=silence_s)
        raise SourceError(f"there is no {spec!r}: {KINDS}") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{spec!r} cannot be read ({error}): {KINDS}") from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{spec!r} is a folder, not a file: {KINDS}")
    if stat.S_ISCHR(status.st_mode):
        return DeviceSource(path, read_timeout_s=silence_s)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{spec!r} is no ordinary file: {KINDS}")
    if status.st_size == 0:
        raise SourceError(f"{spec} is empty: copy or record it again")
    return ImageSource(path) if is_image(path) else FileSource(path)
