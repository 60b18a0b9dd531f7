"""A trained captioner in a folder: what the service loads, with no network and no PyTorch.

`config.json` (shape, and the figures of its evaluation), `vocabulary.txt` and `weights.npz`
(half precision, each array by its variable's name).
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.beam_search import BeamConfig
from models.captioner import Captioner, CaptionerConfig
from models.vocabulary import Vocabulary

DEFAULT = Path(__file__).parent / "weights" / "lite2-flickr8k"

_CONFIG, _VOCABULARY, _WEIGHTS = "config.json", "vocabulary.txt", "weights.npz"


class ReleaseError(ValueError):
    """The folder holds no captioner that can be run; the message says why."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a captioner says of itself."""

    name: str
    data: str
    """What it was trained on."""
    licence: str
    figures: dict[str, float]
    """Scores on the development split, by the names of `models.metrics.Scores`."""
    beam: BeamConfig
    """The search that the figures were measured with."""


def save(folder: Path, captioner: Captioner, card: Card) -> None:
    """Write the captioner, its weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"card": asdict(card), "captioner": captioner.config.to_json()}
    (folder / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    captioner.vocabulary.write(folder / _VOCABULARY)
    arrays: dict[str, Any] = {name: _half(variable) for name, variable in _variables(captioner)}
    np.savez(folder / _WEIGHTS, **arrays)


def read_card(folder: Path) -> Card:
    """Read what the captioner says of itself, without its weights.

    Raises:
        ReleaseError: If the folder is no release.
    """
    return _read_config(folder)[0]


def load(folder: Path) -> tuple[Captioner, Card]:
    """Load a captioner, its weights in single precision.

    Raises:
        ReleaseError: If a file is missing or damaged, or the files do not belong together.
    """
    card, config = _read_config(folder)
    try:
        vocabulary = Vocabulary.read(folder / _VOCABULARY)
        captioner = Captioner(config, vocabulary)
        _load_weights(captioner, folder / _WEIGHTS)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as problem:
        raise ReleaseError(f"{folder} cannot be loaded: {problem}") from problem
    return captioner, card


def _read_config(folder: Path) -> tuple[Card, CaptionerConfig]:
    try:
        values = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        card = Card(**{**values["card"], "beam": BeamConfig(**values["card"]["beam"])})
        return card, CaptionerConfig.from_json(values["captioner"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ReleaseError(f"{folder} holds no captioner: {problem}") from problem


def _load_weights(captioner: Captioner, path: Path) -> None:
    # Opened here, as NumPy leaves a file open in which it finds no archive.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        missing = {name for name, _ in _variables(captioner)} ^ set(arrays.files)
        if missing:
            raise ValueError(f"{path.name} and the configuration differ in {sorted(missing)[0]}")
        for name, variable in _variables(captioner):
            if arrays[name].shape != tuple(variable.shape):
                raise ValueError(
                    f"{path.name} has {name} as {arrays[name].shape}, "
                    f"the configuration asks for {tuple(variable.shape)}"
                )
            variable.assign(arrays[name].astype(np.float32))


def _variables(captioner: Captioner) -> Iterator[tuple[str, Any]]:
    for part in (captioner.encoder, captioner.decoder):
        for variable in part.weights:
            yield f"{part.name}/{_local_name(variable)}", variable


def _local_name(variable: Any) -> str:
    layer, _, name = variable.path.rpartition("/")
    return f"{layer.rpartition('/')[2]}/{name}"


def _half(variable: Any) -> np.ndarray[Any, np.dtype[np.float16]]:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float16)
