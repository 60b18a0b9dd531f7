"""A cache of converted encoders in the user's cache folder."""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

_CACHED_FILES = 4
"""The most recently used files are kept; each is as large as its encoder's weights."""


def cached_conversion(name: str, convert: Callable[[], bytes]) -> bytes:
    """Return the cached file of this name, or convert and cache the result.

    Files are written atomically, so several processes may do so at once, and a damaged file is
    replaced. If nothing can be cached, this is logged, and every start converts again.
    """
    with contextlib.suppress(OSError, ValueError):
        return _read(cache_folder() / name)
    content = convert()
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / name, content)
        _prune(folder)
    except OSError as problem:
        logger.warning(
            "the converted encoder cannot be cached for the next start (%s); set XDG_CACHE_HOME to "
            "a folder that can be written to",
            problem,
        )
    return content


def cache_folder() -> Path:
    """Return the cache folder by the XDG Base Directory Specification; it need not exist.

    Raises:
        OSError: If the user has no home directory.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "sightline" / "encoders"
    except RuntimeError as problem:
        raise OSError(str(problem)) from problem


def _read(path: Path) -> bytes:
    size = hashlib.sha256().digest_size
    with path.open("rb") as file:
        digest, content = file.read(size), file.read()
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{path} is damaged")
    # Pruning goes by the time of last use.
    with contextlib.suppress(OSError):
        path.touch()
    return content


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(hashlib.sha256(content).digest() + content)
            file.flush()
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _prune(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_CACHED_FILES:]:
        path.unlink(missing_ok=True)
