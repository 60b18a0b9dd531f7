"""A trained captioner in a folder: what the service loads, with no network and no PyTorch.

`config.json` (shape, the figures of its evaluation, and what the other two files must be),
`vocabulary.txt` and `weights.npz` (half precision, each array by its variable's name).

What tells a captioner's weights from others.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from models.calibration import Doubt, TagCalibration
from models.captioner import BeamConfig, Captioner, CaptionerConfig
from models.digests import WEIGHTS, file_sha256
from models.encoders import CLASSES
from models.language import Vocabulary

DEFAULT = Path(__file__).parent / "weights" / "lite2"
FORMAT = 2
"""Of the folders that are written. Those of format 1, which were written before the format was
noted, are read too: they have no sums by which to tell other files from their own."""

_CONFIG, _VOCABULARY = "config.json", "vocabulary.txt"

_COPY = "copy the captioner's whole folder again"


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
    """Of the development split: see `models.evaluation.metrics.Scores` and
    `models.language.content_words.Language`."""
    beam: BeamConfig
    """The search that the figures were measured with."""
    doubt: Doubt | None = None
    """How its probabilities are to be read; None when nobody has calibrated it."""
    tags: TagCalibration | None = None
    """Likewise of its object tags; None for no tags."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """SHA-256, in hexadecimal."""

    vocabulary: str
    weights: str


@dataclass(frozen=True, slots=True)
class _Config:
    """What `config.json` holds."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    card: Card
    captioner: CaptionerConfig
    format: int = 1
    grid: tuple[int, int, int] | None = None
    """Rows, columns and channels of what the decoder attends to."""
    sha256: _Sums | None = None

    def __post_init__(self) -> None:
        if self.format > 1 and not (self.grid and self.sha256):
            raise ValueError("grid or sha256 is missing")
        if self.card.tags and self.captioner.classes != CLASSES:
            raise ValueError(
                f"the card has tags, which need a classifier of {CLASSES} classes, not of "
                f"{self.captioner.classes}"
            )


def save(folder: Path, captioner: Captioner, card: Card) -> None:
    """Write the captioner, its weights in half precision where that has their range."""
    folder.mkdir(parents=True, exist_ok=True)
    captioner.vocabulary.write(folder / _VOCABULARY)
    arrays: dict[str, Any] = {name: _half(variable) for name, variable in _variables(captioner)}
    np.savez(folder / WEIGHTS, **arrays)
    config = _Config(
        card,
        captioner.config,
        format=FORMAT,
        grid=captioner.encoder.output_shape[1:],
        sha256=_Sums(_vocabulary_sum(captioner.vocabulary), file_sha256(folder / WEIGHTS)),
    )
    _write_config(folder, config)


def write_card(folder: Path, card: Card) -> None:
    """Replace what a captioner says of itself, and nothing else of it.

    Raises:
        ReleaseError: If the folder is no release.
    """
    _write_config(folder, replace(_read_config(folder), card=card))


def read_card(folder: Path) -> Card:
    """Read what the captioner says of itself, without its weights.

    Raises:
        ReleaseError: If the folder is no release.
    """
    return _read_config(folder).card


def load(folder: Path) -> tuple[Captioner, Card]:
    """Load a captioner, its weights in single precision.

    Raises:
        ReleaseError: If a file is missing or damaged, or the files do not belong together. The
            message, of one line, says which and what to do.
    """
    config = _read_config(folder)
    try:
        vocabulary = _read_vocabulary(folder / _VOCABULARY, config)
        # Before a large encoder is built in vain.
        _check_weights(folder / WEIGHTS, config)
        captioner = Captioner(config.captioner, vocabulary)
        _check_grid(captioner, config)
        _load_weights(captioner, folder / WEIGHTS)
    except (OSError, ValueError) as problem:
        raise ReleaseError(f"{folder} cannot be loaded: {_line(problem)}") from problem
    return captioner, config.card


def _write_config(folder: Path, config: _Config) -> None:
    (folder / _CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def _read_config(folder: Path) -> _Config:
    try:
        text = _present(folder / _CONFIG).read_text(encoding="utf-8")
        values = json.loads(text)
        made = values.get("format", 1) if isinstance(values, dict) else 1
        if isinstance(made, int) and made > FORMAT:
            raise ValueError(
                f"{_CONFIG} has format {made}, this version reads formats up to {FORMAT}: "
                "update Sightline, or give a captioner that it wrote"
            )
        return TypeAdapter(_Config).validate_json(text)
    except ValidationError as problem:
        wrong = problem.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise ReleaseError(
            f"{folder} holds no captioner: {_CONFIG}: {place}: {_line(wrong['msg'])}; {_COPY}"
        ) from problem
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise ReleaseError(
            f"{folder} holds no captioner: {_CONFIG} is cut off or no JSON ({problem}); {_COPY}"
        ) from problem
    except (OSError, ValueError) as problem:
        raise ReleaseError(f"{folder} holds no captioner: {_line(problem)}") from problem


def _read_vocabulary(path: Path, config: _Config) -> Vocabulary:
    try:
        vocabulary = Vocabulary.read(_present(path))
    except UnicodeDecodeError as problem:
        raise ValueError(f"{path.name} is damaged or no text ({problem}); {_COPY}") from problem
    needed = config.captioner.decoder.vocabulary_size
    if len(vocabulary) != needed:
        raise ValueError(
            f"the captioner was made for {needed} words, {path.name} has {len(vocabulary)}: they "
            f"do not belong together; {_COPY}"
        )
    if config.sha256 and _vocabulary_sum(vocabulary) != config.sha256.vocabulary:
        raise ValueError(
            f"{path.name} has not the words, or not in the order, that the captioner was trained "
            f"with; {_COPY}"
        )
    return vocabulary


def _check_grid(captioner: Captioner, config: _Config) -> None:
    made = captioner.encoder.output_shape[1:]
    if config.grid and made != config.grid:
        raise ValueError(
            f"{config.captioner.encoder} makes a grid of {made} of pictures of "
            f"{config.captioner.image_size} pixels, the decoder was trained on {config.grid}; "
            f"{_COPY}"
        )


def _check_weights(path: Path, config: _Config) -> None:
    if config.sha256 and file_sha256(_present(path)) != config.sha256.weights:
        raise ValueError(
            f"{path.name} is cut off, damaged or another captioner's: it is not what {_CONFIG} was "
            f"saved with; {_COPY}"
        )


def _load_weights(captioner: Captioner, path: Path) -> None:
    arrays = _read_arrays(path)
    variables = dict(_variables(captioner))
    if other := sorted(variables.keys() ^ arrays.keys()):
        raise ValueError(f"{path.name} and {_CONFIG} differ in {other[0]}; {_COPY}")
    for name, variable in variables.items():
        array = arrays[name]
        if array.shape != tuple(variable.shape):
            raise ValueError(
                f"{path.name} has {name} as {array.shape}, {_CONFIG} asks for "
                f"{tuple(variable.shape)}; {_COPY}"
            )
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(
                f"{path.name} has values in {name} that are no numbers: the training went wrong; "
                "train again with a lower learning_rate"
            )
        variable.assign(array.astype(np.float32))


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    _present(path)
    try:
        # Opened here, as NumPy leaves a file open in which it finds no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as problem:
        raise ValueError(f"{path.name} is cut off or damaged ({problem}); {_COPY}") from problem


def _present(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing; give the folder of a captioner, whole")
    return path


def _vocabulary_sum(vocabulary: Vocabulary) -> str:
    """The file's sum, whatever ends its lines."""
    return hashlib.sha256("".join(f"{word}\n" for word in vocabulary.words).encode()).hexdigest()


def _line(problem: object) -> str:
    return " ".join(str(problem).split())


def _variables(captioner: Captioner) -> Iterator[tuple[str, Any]]:
    for part in captioner.parts:
        for variable in part.weights:
            yield f"{part.name}/{_local_name(variable)}", variable


def _local_name(variable: Any) -> str:
    layer, _, name = variable.path.rpartition("/")
    return f"{layer.rpartition('/')[2]}/{name}"


def _half(variable: Any) -> NDArray[np.floating]:
    values = np.asarray(keras.ops.convert_to_numpy(variable))
    fits = not np.abs(values).max(initial=0) > np.finfo(np.float16).max
    return values.astype(np.float16) if fits else values
