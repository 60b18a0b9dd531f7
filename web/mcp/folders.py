"""The folders whose image files an assistant may have captioned."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

_MAX_BYTES = 100_000_000
"""More than any server accepts."""


class FileRefused(ValueError):
    """A file may not or cannot be read; the message is for the assistant."""


class AllowedFolders:
    """Reads files inside some folders, and no others, wherever symbolic links lead."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Allow these folders, which exist, and all below them."""
        self._folders = [folder.resolve() for folder in folders]

    def __bool__(self) -> bool:
        """Return whether any folder is allowed."""
        return bool(self._folders)

    def __str__(self) -> str:
        return ", ".join(map(str, self._folders))

    def read(self, name: str) -> bytes:
        """Read a file.

        Args:
            name: Its path; a relative one is looked up in each folder.

        Raises:
            FileRefused: If it is in none of the folders, or is not a readable file.
        """
        if "\0" in name:
            raise FileRefused("a path has no null character")
        for folder in self._folders:
            try:
                # An absolute path replaces the folder.
                path = Path(os.path.realpath(folder / Path(name).expanduser()))
                is_allowed = path.is_relative_to(folder) and path.exists()
            except (OSError, RuntimeError, UnicodeEncodeError):
                # A name that is too long, of no text, or in the home of an unknown user.
                continue
            if is_allowed:
                return _read(path, name)
        raise FileRefused(f"{name} is not a file in an allowed folder; these are allowed: {self}")


def _read(path: Path, name: str) -> bytes:
    try:
        # A link that replaced the file since is refused, and a pipe not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileRefused(f"{name} is not a regular file")
            if status.st_size > _MAX_BYTES:
                raise FileRefused(f"{name} is larger than {_MAX_BYTES / 1e6:.0f} MB")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(_MAX_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FileRefused(f"{name} cannot be read: {error.strerror}") from error
