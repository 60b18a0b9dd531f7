"""Converted encoders, kept in the user's cache folder."""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

_KEPT = 4
"""Files, those that were used last; each is as large as its encoder's weights."""
_DIGEST = hashlib.sha256


def cache_folder() -> Path:
    """The folder, by the XDG Base Directory Specification; it need not exist.

    Raises:
        OSError: If the user has no home.
    """
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (told if told.is_absolute() else Path.home() / ".cache") / "sightline" / "encoders"
    except RuntimeError as problem:
        raise OSError(str(problem)) from problem


def converted(name: str, convert: Callable[[], bytes]) -> bytes:
    """Return the file that was kept by this name, or else convert, and keep that.

    A file is written whole or not at all, so that several processes may do so at once, and one
    that was damaged since is replaced. Where nothing can be kept, that is logged, and every start
    converts anew.
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
        logger.warning("the converted encoder cannot be kept for the next start: %s", problem)
    return content


def _read(path: Path) -> bytes:
    size = _DIGEST().digest_size
    with path.open("rb") as file:
        digest, content = file.read(size), file.read()
    if _DIGEST(content).digest() != digest:
        raise ValueError(f"{path} is damaged")
    # What is used is not pruned.
    with contextlib.suppress(OSError):
        path.touch()
    return content


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(_DIGEST(content).digest() + content)
            file.flush()
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _prune(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT:]:
        path.unlink(missing_ok=True)
