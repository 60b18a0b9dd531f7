"""The architectures of captioners that can be loaded, and the files that each of them needs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Architecture = Literal["sightline", "blip"]
"""`sightline` is a folder written by `models.train`; others are folders in the format of Hugging
Face's transformers, named by the `model_type` of their `config.json`."""

PUBLISHED: Mapping[Architecture, str] = {"blip": "BlipForConditionalGeneration"}
"""Published architectures, with the class of transformers that their weights belong to."""

WEIGHTS = "model.safetensors"
"""The weights of a published captioner."""

MAX_CONFIG_BYTES = 1_000_000
"""Largest `config.json` that is read."""

_MAX_METADATA = 100_000
"""Characters of a README.md in which its metadata is looked for."""

_NO_LICENCE = "not stated"
_CONFIG = "config.json"
_NEEDED = {"blip": (_CONFIG, WEIGHTS, "vocab.txt", "preprocessor_config.json")}


class CaptionerError(ValueError):
    """There is no such captioner, or it cannot be used; the message says why, and what to do."""


class UnknownArchitecture(CaptionerError):
    """The captioner cannot be loaded; the message names the architectures that can."""


def read_architecture(folder: Path) -> Architecture:
    """Return the architecture of the captioner in a folder.

    Raises:
        UnknownArchitecture: If `config.json` is damaged, or names another architecture.
        OSError: If it cannot be read.
    """
    path = folder / _CONFIG
    with path.open("rb") as file:
        return parse_architecture(file.read(MAX_CONFIG_BYTES + 1), str(path))


def parse_architecture(config: bytes, name: str) -> Architecture:
    """Return the architecture that a `config.json` names.

    Args:
        config: Contents of the file.
        name: How the message of an error calls the file.

    Raises:
        UnknownArchitecture: If the contents are damaged, or name another architecture.
    """
    try:
        values: Any = json.loads(config) if len(config) <= MAX_CONFIG_BYTES else None
        if not isinstance(values, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise UnknownArchitecture(f"{name} is damaged: it is not the JSON of a captioner") from None
    if "captioner" in values and "model_type" not in values:
        return "sightline"
    known = ", ".join(f"{kind} ({model_class})" for kind, model_class in PUBLISHED.items())
    found = values.get("model_type")
    for kind, model_class in PUBLISHED.items():
        if found == kind:
            classes = values.get("architectures") or [model_class]
            if isinstance(classes, list) and model_class in classes:
                return kind
            found = f"{kind} ({classes[0] if isinstance(classes, list) else classes})"
    raise UnknownArchitecture(
        f"{name} names the architecture {str(found)[:100]}, which Sightline cannot use; "
        f"architectures that it can use: {known}"
    )


def missing_files(folder: Path) -> list[str]:
    """Return the names of the files that a published captioner lacks.

    Raises:
        UnknownArchitecture: If `config.json` is damaged, or names another architecture.
        OSError: If it cannot be read.
    """
    needed = _NEEDED.get(read_architecture(folder), ())
    return [name for name in needed if not (folder / name).is_file()]


def read_licence(folder: Path) -> str:
    """Return the licence of the captioner in a folder, as its publisher names it.

    It is in the model card of our own captioners, and in the metadata at the beginning of the
    README.md of published ones.
    """
    try:
        if read_architecture(folder) == "sightline":
            values = json.loads((folder / _CONFIG).read_bytes())
            return str(values["card"]["licence"])
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_METADATA)
    except (OSError, ValueError, TypeError, KeyError):
        return _NO_LICENCE
    metadata = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    if not metadata:
        return _NO_LICENCE
    found: dict[str, str] = dict(
        re.findall(r"^(license|license_name):[ ]*['\"]?([^'\"\n]+)", metadata[1], re.M)
    )
    licence = found.get("license", _NO_LICENCE)
    return found.get("license_name", licence) if licence == "other" else licence


def needed_files(architecture: Architecture) -> tuple[str, ...]:
    """Return the names of the files that a published captioner of an architecture needs."""
    return _NEEDED[architecture]
