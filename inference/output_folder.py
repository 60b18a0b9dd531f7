"""A folder that is written whole or not at all."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def output_folder(folder: Path) -> Iterator[Path]:
    """Give a place to write files to, which move into the folder when all went well.

    Whatever goes wrong, and also when it is interrupted, nothing is left behind: neither files nor
    folders that were made on the way. Files of the folder keep what they held until then, and those
    of other names for good.

    Args:
        folder: Made, with those above it, if there is none.

    Raises:
        OSError: If the folder cannot be written to; at once, before anything else is done.
    """
    made = _missing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as place:
            yield Path(place)
            for file in sorted(Path(place).iterdir()):
                file.replace(folder / file.name)
    except BaseException:
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _missing(folder: Path) -> list[Path]:
    """Folders that are to be made, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]
