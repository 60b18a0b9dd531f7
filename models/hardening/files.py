"""A hardened model and its control, stored beside their captioner as differences in weights.

Both were trained to give the captioner's captions of clean images, one for attacked and one for
noisy images: see `models.harden`. The file holds the differences in four bits, scaled by column,
and is valid only with the weights that they were computed from.
"""

import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from models.captioner import Captioner
from models.checkpoint import CheckpointError
from models.digests import weights_sha256
from models.hardening.card import HardenedCard
from models.hardening.student import Student

_FILE = "hardened.npz"

_LEVELS = 7
"""Largest level of a difference; the smallest is as far below zero. Deflate packs the levels."""

_RETRAIN = "train it again with python -m models.harden, or delete the file"

_Arrays = dict[str, NDArray[Any]]


class Hardened(NamedTuple):
    """The models of a file."""

    card: HardenedCard
    hardened: Student
    control: Student


def round_weights(captioner: Captioner, student: Student) -> None:
    """Round a student's weights to what the file will hold."""
    plain = Student(captioner, student.blocks).get_weights()
    rounded = []
    for before, after in zip(plain, student.get_weights(), strict=True):
        levels, scale = _quantize(after - before)
        rounded.append(before + levels * scale)
    student.set_weights(rounded)


def save_hardened(
    folder: Path, captioner: Captioner, hardened: Student, control: Student, card: HardenedCard
) -> Path:
    """Write both models into their captioner's checkpoint; return the file.

    Raises:
        OSError: If the checkpoint has no weights, or the file cannot be written.
    """
    plain = Student(captioner, hardened.blocks).get_weights()
    arrays: _Arrays = {}
    for name, student in (("hardened", hardened), ("control", control)):
        for index, (before, after) in enumerate(zip(plain, student.get_weights(), strict=True)):
            levels, scale = _quantize(after - before)
            arrays[f"{name}/levels/{index}"], arrays[f"{name}/scale/{index}"] = levels, scale
    values = asdict(replace(card, weights=weights_sha256(folder)))
    path = folder / _FILE
    kept: dict[str, Any] = {"card": json.dumps(values), **arrays}
    np.savez_compressed(path, **kept)
    return path


def read_hardened_card(folder: Path) -> HardenedCard | None:
    """Read the model card of a checkpoint's hardened model; None if it has none.

    Raises:
        CheckpointError: If the file is damaged, or was made for other weights.
    """
    arrays = _read(folder)
    return _card(folder, arrays) if arrays else None


def load_hardened(folder: Path, captioner: Captioner) -> Hardened | None:
    """Load the hardened model of the captioner in a folder, and its control; None without.

    Raises:
        CheckpointError: If the file is damaged, or was made for other weights.
    """
    arrays = _read(folder)
    if not arrays:
        return None
    card = _card(folder, arrays)
    try:
        students = [_load(captioner, card, name, arrays) for name in ("hardened", "control")]
    except (KeyError, ValueError) as problem:
        raise CheckpointError(
            f"{_FILE} in {folder} was made for another captioner; {_RETRAIN}"
        ) from problem
    return Hardened(card, *students)


def _load(captioner: Captioner, card: HardenedCard, name: str, arrays: _Arrays) -> Student:
    student = Student(captioner, card.encoder_blocks)
    values = []
    for index, weight in enumerate(student.get_weights()):
        levels, scale = (arrays[f"{name}/{part}/{index}"] for part in ("levels", "scale"))
        if levels.shape != weight.shape:
            raise ValueError("another shape")
        values.append(weight + levels * scale)
    student.set_weights(values)
    return student


def _quantize(difference: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return levels and the size of one level, per index of the last axis."""
    most = np.abs(difference).max(axis=tuple(range(difference.ndim - 1)), keepdims=True)
    scale = np.where(most > 0, most / _LEVELS, 1).astype(np.float32)
    return np.rint(difference / scale).astype(np.int8), scale


def _read(folder: Path) -> _Arrays:
    path = folder / _FILE
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as problem:
        raise CheckpointError(
            f"{_FILE} in {folder} is truncated or damaged ({problem}); {_RETRAIN}"
        ) from problem


def _card(folder: Path, arrays: _Arrays) -> HardenedCard:
    try:
        card = TypeAdapter(HardenedCard).validate_json(str(arrays["card"]))
    except (KeyError, ValidationError) as problem:
        raise CheckpointError(
            f"{_FILE} in {folder} has no valid model card; {_RETRAIN}"
        ) from problem
    if card.weights != weights_sha256(folder):
        raise CheckpointError(f"{_FILE} in {folder} was made for other weights; {_RETRAIN}")
    return card
