"""A hardened decoder, stored beside its captioner as the difference in weights.

The decoder was trained to give the captioner's captions of clean images for attacked ones, with the
same encoder: see `models.harden`. The file holds the difference of each weight in eight bits,
scaled by column, and is valid only with the weights that it was computed from.
"""

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from models.captioner import Captioner, Decoder
from models.checkpoint import CheckpointError
from models.digests import weights_sha256

_FILE = "hardened.npz"

_LEVELS = 127

_RETRAIN = "train it again with python -m models.harden, or delete the file"

_Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Robustness:
    """Effect of one attack on both decoders, on the development split."""

    epsilon: float
    """The attack's epsilon in L-inf, in grey levels of 0..255."""
    attacked: str
    """The decoder that the attack was made against: `plain` or `hardened`."""
    changed_plain: float
    """Share of the images whose caption the attack changes, in 0..1."""
    changed_hardened: float
    cider_plain: float
    """CIDEr of the captions of the attacked images."""
    cider_hardened: float


@dataclass(frozen=True, slots=True)
class HardenedCard:
    """The model card of a hardened decoder."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    data: str
    pictures: int
    """Number of training images, each attacked once."""
    steps: int
    """PGD steps of the attacks in training."""
    cider_plain: float
    """CIDEr on clean images of the development split."""
    cider_hardened: float
    same_clean: float
    """Share of the clean images with the same caption from both decoders, in 0..1."""
    robustness: tuple[Robustness, ...]
    weights: str = ""
    """SHA-256 of the captioner's weights that the differences apply to."""


def save_hardened(
    folder: Path, captioner: Captioner, hardened: Decoder, card: HardenedCard
) -> Path:
    """Write the hardened decoder into its captioner's checkpoint; return the file.

    Raises:
        OSError: If the checkpoint has no weights, or the file cannot be written.
    """
    values = {**asdict(card), "weights": weights_sha256(folder)}
    arrays: _Arrays = {}
    for index, (plain, other) in enumerate(
        zip(captioner.decoder.get_weights(), hardened.get_weights(), strict=True)
    ):
        arrays[f"levels/{index}"], arrays[f"scale/{index}"] = _quantize(other - plain)
    path = folder / _FILE
    kept: dict[str, Any] = {"card": json.dumps(values), **arrays}
    np.savez_compressed(path, **kept)
    return path


def read_hardened_card(folder: Path) -> HardenedCard | None:
    """Read the model card of a checkpoint's hardened decoder; None if it has none.

    Raises:
        CheckpointError: If the file is damaged, or was made for other weights.
    """
    arrays = _read(folder)
    return _card(folder, arrays) if arrays else None


def load_hardened(folder: Path, captioner: Captioner) -> Decoder | None:
    """Load the hardened decoder of the captioner in a folder; None if it has none.

    Raises:
        CheckpointError: If the file is damaged, or was made for other weights.
    """
    arrays = _read(folder)
    if not arrays:
        return None
    _card(folder, arrays)
    plain = captioner.decoder.get_weights()
    if len(arrays) != 2 * len(plain) + 1:
        raise _other_decoder(folder)
    hardened = copy_decoder(captioner)
    differences = [arrays[f"levels/{i}"] * arrays[f"scale/{i}"] for i in range(len(plain))]
    if any(
        difference.shape != weight.shape
        for difference, weight in zip(differences, plain, strict=True)
    ):
        raise _other_decoder(folder)
    hardened.set_weights([a + b for a, b in zip(plain, differences, strict=True)])
    return hardened


def copy_decoder(captioner: Captioner) -> Decoder:
    """Create a separate decoder with the captioner's weights."""
    copy = Decoder(captioner.config.decoder, name="hardened")
    copy.build_for(captioner.encoder.output_shape[-1])
    copy.set_weights(captioner.decoder.get_weights())
    copy.distinct_words = captioner.decoder.distinct_words
    return copy


def _quantize(difference: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return levels in -127..127 and the size of one level, per index of the last axis."""
    most = np.abs(difference).max(axis=tuple(range(difference.ndim - 1)), keepdims=True)
    scale = np.where(most > 0, most / _LEVELS, 1).astype(np.float32)
    return np.rint(difference / scale).astype(np.int8), scale


def _other_decoder(folder: Path) -> CheckpointError:
    return CheckpointError(f"{_FILE} in {folder} was made for another decoder; {_RETRAIN}")


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
