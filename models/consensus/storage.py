"""The consensus of a captioner, stored in its folder, and its card.

The file is valid only with the weights whose features and word numbers it holds.
"""

import json
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from models.captioner import Captioner
from models.checkpoint import CheckpointError
from models.consensus.index import Consensus, ConsensusConfig
from models.digests import weights_sha256

_FILE = "consensus.npz"

_REBUILD = "build it again with python -m models.consensus, or delete the file"


@dataclass(frozen=True, slots=True)
class DevScores:
    """Scores of one dataset's development split, without and with the consensus."""

    data: str
    """Name of the dataset's folder."""
    images: int
    changed: float
    """Share of the images whose caption is another one with the consensus, in 0..1."""
    cider_before: float
    cider: float
    bleu_4_before: float
    bleu_4: float


@dataclass(frozen=True, slots=True)
class ConsensusCard:
    """What a consensus was built from, how it ranks, and what it is good for."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    images: int
    """Training images in the index."""
    config: ConsensusConfig
    """Tuned on the development splits."""
    dev: tuple[DevScores, ...]
    milliseconds: float
    """Time to choose one caption."""
    weights: str = ""
    """SHA-256 of the captioner's weights."""


def save_consensus(folder: Path, consensus: Consensus, card: ConsensusCard) -> Path:
    """Write a consensus into its captioner's checkpoint; return the file.

    Raises:
        OSError: If the checkpoint has no weights, or the file cannot be written.
    """
    card = replace(card, config=consensus.config, weights=weights_sha256(folder))
    path = folder / _FILE
    partial = path.with_suffix(".partial.npz")
    kept: dict[str, Any] = {"card": json.dumps(asdict(card)), **consensus.arrays}
    np.savez_compressed(partial, **kept)
    partial.rename(path)
    return path


def load_consensus(folder: Path, captioner: Captioner) -> Consensus | None:
    """Load the consensus of the captioner in a folder; None if it has none.

    Raises:
        CheckpointError: If the file is damaged, or was made for other weights.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    arrays = _read(path)
    try:
        card = TypeAdapter(ConsensusCard).validate_json(str(arrays.pop("card")))
    except (KeyError, ValidationError) as problem:
        raise CheckpointError(f"{_FILE} in {folder} has no valid card; {_REBUILD}") from problem
    if card.weights != weights_sha256(folder):
        raise CheckpointError(f"{_FILE} in {folder} was made for other weights; {_REBUILD}")
    try:
        consensus = Consensus(arrays, card.config)
    except (KeyError, ValueError, TypeError) as problem:
        raise _damaged(path, problem) from problem
    if consensus.channels != captioner.encoder.output_shape[-1]:
        raise CheckpointError(f"{_FILE} in {folder} was made for another encoder; {_REBUILD}")
    return consensus


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        raise _damaged(path, problem) from problem


def _damaged(path: Path, problem: Exception) -> CheckpointError:
    reason = " ".join(str(problem).split())
    return CheckpointError(
        f"{path.name} in {path.parent} is truncated or damaged ({reason}); {_REBUILD}"
    )
