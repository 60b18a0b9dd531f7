"""A second decoder, hardened against attacks: beside its captioner, as what it differs by.

A decoder that has learnt to say of attacked pictures what the captioner says of the clean ones, the
encoder being the same: see `models.harden`. The file holds for each weight the difference from the
captioner's own in eight bits, a column at a time, and belongs to those very weights.
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
from models.checkpoint import ReleaseError
from models.digests import weights_sha256

_FILE = "hardened.npz"


_LEVELS = 127


_AGAIN = "train it again by `python -m models.harden`, or delete the file"


_Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Robustness:
    """How one decoder stands up to one attack, on the development split."""

    epsilon: float
    """Of the attack, L-inf, in grey levels of 0..255."""
    attacked: str
    """What the attack was made against: `plain` or `hardened`."""
    changed_plain: float
    """Share of the pictures whose caption the attack changes, in 0..1."""
    changed_hardened: float
    cider_plain: float
    """Of the captions of the attacked pictures."""
    cider_hardened: float


@dataclass(frozen=True, slots=True)
class HardenedCard:
    """What a hardened decoder says of itself."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    data: str
    pictures: int
    """That it was trained on, each attacked once."""
    steps: int
    """Of the attacks."""
    cider_plain: float
    """On clean pictures of the development split."""
    cider_hardened: float
    same_clean: float
    """Share of the clean pictures that both decoders caption alike, in 0..1."""
    robustness: tuple[Robustness, ...]
    weights: str = ""
    """SHA-256 of the captioner's weights that it differs from."""


def save_hardened(
    folder: Path, captioner: Captioner, hardened: Decoder, card: HardenedCard
) -> Path:
    """Write the decoder beside its captioner; return the file.

    Raises:
        ReleaseError: If the folder is no release.
    """
    values = {**asdict(card), "weights": weights_sha256(folder)}
    arrays: _Arrays = {}
    for index, (own, other) in enumerate(
        zip(captioner.decoder.get_weights(), hardened.get_weights(), strict=True)
    ):
        arrays[f"levels/{index}"], arrays[f"scale/{index}"] = _quantise(other - own)
    path = folder / _FILE
    kept: dict[str, Any] = {"card": json.dumps(values), **arrays}
    np.savez_compressed(path, **kept)
    return path


def read_hardened_card(folder: Path) -> HardenedCard | None:
    """Read what the captioner's hardened decoder says of itself; None if it has none.

    Raises:
        ReleaseError: If the file is damaged, or belongs to other weights.
    """
    arrays = _read(folder)
    return _card(folder, arrays) if arrays else None


def load_hardened(folder: Path, captioner: Captioner) -> Decoder | None:
    """Load the hardened decoder of the captioner in a folder; None if it has none.

    Raises:
        ReleaseError: If the file is damaged, or belongs to other weights.
    """
    arrays = _read(folder)
    if not arrays:
        return None
    _card(folder, arrays)
    own = captioner.decoder.get_weights()
    if len(arrays) != 2 * len(own) + 1:
        raise ReleaseError(f"{_FILE} in {folder} is of another decoder; {_AGAIN}")
    hardened = copy_decoder(captioner)
    differences = [arrays[f"levels/{i}"] * arrays[f"scale/{i}"] for i in range(len(own))]
    if any(
        difference.shape != each.shape for difference, each in zip(differences, own, strict=True)
    ):
        raise ReleaseError(f"{_FILE} in {folder} is of another decoder; {_AGAIN}")
    hardened.set_weights([a + b for a, b in zip(own, differences, strict=True)])
    return hardened


def copy_decoder(captioner: Captioner) -> Decoder:
    """Make a decoder of its own with the captioner's weights."""
    copy = Decoder(captioner.config.decoder, name="hardened")
    copy.build_for(captioner.encoder.output_shape[-1])
    copy.set_weights(captioner.decoder.get_weights())
    return copy


def _quantise(difference: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Levels in -127..127 and what one is worth, for each place of the last axis."""
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
        told = f"{_FILE} in {folder} is cut off or damaged ({problem}); {_AGAIN}"
        raise ReleaseError(told) from problem


def _card(folder: Path, arrays: _Arrays) -> HardenedCard:
    try:
        card = TypeAdapter(HardenedCard).validate_json(str(arrays["card"]))
    except (KeyError, ValidationError) as problem:
        raise ReleaseError(f"{_FILE} in {folder} says nothing of itself; {_AGAIN}") from problem
    if card.weights != weights_sha256(folder):
        raise ReleaseError(f"{_FILE} in {folder} belongs to other weights; {_AGAIN}")
    return card
