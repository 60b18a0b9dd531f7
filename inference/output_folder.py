"""All-or-nothing writes of several files to a folder."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def output_folder(folder: Path) -> Iterator[Path]:
    """Provide a temporary folder whose files move to the output folder on success.

    If the block fails or is interrupted, nothing is left behind: neither files nor folders created
    on the way. Files in the output folder are replaced only on success, and those of other names
    are never touched.

    Args:
        folder: Created, with its parents, if it does not exist.

    Raises:
        OSError: If the folder cannot be written to; before the block runs.
    """
    created = _missing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            yield Path(temporary)
            for file in sorted(Path(temporary).iterdir()):
                file.replace(folder / file.name)
    except BaseException:
        for each in created:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _missing(folder: Path) -> list[Path]:
    """Return the folders that do not exist yet, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]
