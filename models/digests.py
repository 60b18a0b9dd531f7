"""SHA-256 digests of a captioner's weights. Importing this module does not load Keras."""

import hashlib
from pathlib import Path

WEIGHTS = "weights.npz"
"""Name of the weights file in a checkpoint."""


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of a checkpoint's weights, in hexadecimal.

    Raises:
        OSError: If they cannot be read.
    """
    return file_sha256(folder / WEIGHTS)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
