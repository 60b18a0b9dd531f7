"""What was measured about captioners, in the user's state folder.

A captioner's own folder may belong to somebody else or be in a cache, so the results of calibrating
and measuring it are kept apart from it, in `captioners/NAME-DIGEST/` of the state folder. DIGEST is
the beginning of its weights' SHA-256, and each file repeats all of it: what was measured for other
weights is never used.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.catalogue.architecture import WEIGHTS, CaptionerError, read_architecture
from models.catalogue.reference import reference_of
from models.digests import file_sha256, weights_sha256

_DIGEST = "weights_sha256"
_MAX_BYTES = 10_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NoHomeFolder(CaptionerError):
    """There is no state folder, as the user has no home folder."""


def state_folder() -> Path:
    """Return the user's folder for state, which may begin with `~`.

    XDG Base Directory Specification.
    """
    # systemd sets it for a service with StateDirectory=.
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "sightline"


def captioner_sha256(folder: Path) -> str:
    """Return the SHA-256 of a captioner's weights, in hexadecimal.

    Raises:
        CaptionerError: If they cannot be read.
    """
    try:
        if read_architecture(folder) == "sightline":
            return weights_sha256(folder)
        weights = folder / WEIGHTS
        # Hugging Face's cache names large files by their SHA-256, which `download` verified.
        blob = weights.resolve()
        if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name):
            return blob.name
        return file_sha256(weights)
    except OSError as error:
        raise CaptionerError(f"{error.filename} cannot be read: {error.strerror}") from None


def measurement_path(folder: Path, name: str) -> Path:
    """Return the path of a measurement of the captioner in a folder, which may not exist.

    Args:
        folder: Folder of the captioner.
        name: What was measured: a file name without its suffix.

    Raises:
        CaptionerError: If the captioner's weights cannot be read, or there is no state folder.
    """
    return _path(folder, name, captioner_sha256(folder))


def read_measurement(folder: Path, name: str) -> dict[str, Any] | None:
    """Return what was measured of the captioner in a folder, or None.

    Args:
        folder: Folder of the captioner.
        name: What was measured: a file name without its suffix.

    Raises:
        CaptionerError: If the file is damaged or cannot be read, or the captioner's weights cannot.
    """
    try:
        # First without the digest, which takes seconds to compute for some captioners.
        if not any(_captioners().glob(f"{_slug(folder)}-*/{name}.json")):
            return None
        digest = captioner_sha256(folder)
        path = _path(folder, name, digest)
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NoHomeFolder):
        return None
    except OSError as error:
        raise CaptionerError(f"{error.filename} cannot be read: {error.strerror}") from None
    try:
        values = json.loads(data) if len(data) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not isinstance(values.get(_DIGEST), str):
        raise damaged(path)
    return values if values.pop(_DIGEST) == digest else None


def write_measurement(folder: Path, name: str, values: Mapping[str, Any]) -> Path:
    """Store what was measured of the captioner in a folder, all or nothing; return the file's path.

    Args:
        folder: Folder of the captioner.
        name: What was measured: a file name without its suffix.
        values: JSON values.

    Raises:
        CaptionerError: If the captioner's weights cannot be read, or there is no state folder.
        OSError: If the file cannot be written.
    """
    digest = captioner_sha256(folder)
    path = _path(folder, name, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({_DIGEST: digest, **values}, indent=2)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=".", encoding="utf-8", delete=False
    ) as file:
        temporary = Path(file.name)
        try:
            file.write(f"{text}\n")
            file.close()
            # Unlike other temporary files: a service may read what root has measured for it.
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return path


def damaged(path: Path) -> CaptionerError:
    """Return the error for a file of the state folder whose contents are not what was written."""
    return CaptionerError(f"{path} is damaged; delete it, or measure the captioner again")


def _path(folder: Path, name: str, digest: str) -> Path:
    return _captioners() / f"{_slug(folder)}-{digest[:16]}" / f"{name}.json"


def _captioners() -> Path:
    try:
        return state_folder().expanduser() / "captioners"
    except RuntimeError:
        raise NoHomeFolder(
            "this user has no home folder to store measurements in; set XDG_STATE_HOME"
        ) from None


def _slug(folder: Path) -> str:
    """Return a readable name for the captioner in a folder, of safe characters."""
    reference = reference_of(folder)
    name = {"hf": reference.value, "shipped": "shipped"}.get(reference.kind, folder.resolve().name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "captioner"
