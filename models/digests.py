"""SHA-256 digests that identify a captioner's weights."""

import hashlib
from pathlib import Path

WEIGHTS = "weights.npz"
"""Their file in the captioner's folder."""


def weights_sha256(folder: Path) -> str:
    """Give the SHA-256 of a captioner's weights, in hexadecimal.

    Raises:
        OSError: If they cannot be read.
    """
    return file_sha256(folder / WEIGHTS)


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
