"""A trained captioner in a folder, loaded without network access or PyTorch.

`config.json` holds the model card, the architecture and the digests of the other two files;
`vocabulary.txt` the words; `weights.npz` the weights in half precision, by variable name.
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

from models.calibration import ConfidenceCalibration, TagCalibration
from models.captioner import BeamConfig, Captioner, CaptionerConfig
from models.digests import WEIGHTS, file_sha256
from models.encoders import CLASSES
from models.language import Vocabulary

FORMAT = 2
"""Version of the checkpoints that are written. Format 1, which predates the version number, is read
too; it has no digests to verify the files with."""

_CONFIG, _VOCABULARY = "config.json", "vocabulary.txt"

_COPY = "copy the whole checkpoint folder again"


class CheckpointError(ValueError):
    """The folder is not a checkpoint that can be loaded; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The model card of a captioner: its origin, its scores and its calibration."""

    name: str
    data: str
    """The training data."""
    licence: str
    figures: dict[str, float]
    """Scores on the development split: see `models.metrics.Scores` and
    `models.language.LanguageStatistics`."""
    beam: BeamConfig
    """The search that the scores were measured with."""
    confidence: ConfidenceCalibration | None = None
    """Calibration of its probabilities; None if it is not calibrated."""
    tags: TagCalibration | None = None
    """Calibration of its object tags; None for no tags."""
    verified: tuple[str, ...] = ()
    """Names of the explanation methods that were measured to be more faithful to it than chance,
    the most faithful first; see `inference/faithfulness/README.md`."""


@dataclass(frozen=True, slots=True)
class _Digests:
    """SHA-256 in hexadecimal."""

    vocabulary: str
    weights: str


@dataclass(frozen=True, slots=True)
class _Config:
    """The contents of `config.json`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    card: ModelCard
    captioner: CaptionerConfig
    format: int = 1
    grid: tuple[int, int, int] | None = None
    """Rows, columns and channels of the grid that the decoder was trained on."""
    sha256: _Digests | None = None

    def __post_init__(self) -> None:
        if self.format > 1 and not (self.grid and self.sha256):
            raise ValueError("grid or sha256 is missing")
        if self.card.tags and self.captioner.classes != CLASSES:
            raise ValueError(
                f"the card has tags, which need a classifier of {CLASSES} classes, not of "
                f"{self.captioner.classes}"
            )


def save(folder: Path, captioner: Captioner, card: ModelCard) -> None:
    """Write a checkpoint. Weights are in half precision unless they exceed its range."""
    folder.mkdir(parents=True, exist_ok=True)
    captioner.vocabulary.write(folder / _VOCABULARY)
    arrays: dict[str, Any] = {name: _half(variable) for name, variable in _variables(captioner)}
    np.savez(folder / WEIGHTS, **arrays)
    config = _Config(
        card,
        captioner.config,
        format=FORMAT,
        grid=captioner.encoder.output_shape[1:],
        sha256=_Digests(_vocabulary_digest(captioner.vocabulary), file_sha256(folder / WEIGHTS)),
    )
    _write_config(folder, config)


def write_card(folder: Path, card: ModelCard) -> None:
    """Replace the model card of a checkpoint and leave the rest unchanged.

    Raises:
        CheckpointError: If the folder is not a checkpoint.
    """
    _write_config(folder, replace(_read_config(folder), card=card))


def read_card(folder: Path) -> ModelCard:
    """Read the model card of a checkpoint, without its weights.

    Raises:
        CheckpointError: If the folder is not a checkpoint.
    """
    return _read_config(folder).card


def load(folder: Path) -> tuple[Captioner, ModelCard]:
    """Load a captioner and its model card. The weights are in single precision.

    Raises:
        CheckpointError: If a file is missing or damaged, or the files do not match. The message is
            one line that names the file and what to do.
    """
    config = _read_config(folder)
    try:
        vocabulary = _read_vocabulary(folder / _VOCABULARY, config)
        # Before the encoder is built, which takes seconds.
        _check_weights(folder / WEIGHTS, config)
        captioner = Captioner(config.captioner, vocabulary)
        _check_grid(captioner, config)
        _load_weights(captioner, folder / WEIGHTS)
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"{folder} cannot be loaded: {_one_line(problem)}") from problem
    return captioner, config.card


def _write_config(folder: Path, config: _Config) -> None:
    (folder / _CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def _read_config(folder: Path) -> _Config:
    try:
        text = _require_file(folder / _CONFIG).read_text(encoding="utf-8")
        values = json.loads(text)
        version = values.get("format", 1) if isinstance(values, dict) else 1
        if isinstance(version, int) and version > FORMAT:
            raise ValueError(
                f"{_CONFIG} has format {version}, but this version reads formats up to {FORMAT}; "
                "update Sightline, or use a captioner written by this version"
            )
        return TypeAdapter(_Config).validate_json(text)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = f"{_CONFIG}: {place}: {_one_line(first['msg'])}; {_COPY}"
        raise _not_a_checkpoint(folder, reason) from problem
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        reason = f"{_CONFIG} is truncated or not JSON ({problem}); {_COPY}"
        raise _not_a_checkpoint(folder, reason) from problem
    except (OSError, ValueError) as problem:
        raise _not_a_checkpoint(folder, _one_line(problem)) from problem


def _not_a_checkpoint(folder: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{folder} is not a captioner checkpoint: {reason}")


def _read_vocabulary(path: Path, config: _Config) -> Vocabulary:
    try:
        vocabulary = Vocabulary.read(_require_file(path))
    except UnicodeDecodeError as problem:
        raise ValueError(f"{path.name} is damaged or not text ({problem}); {_COPY}") from problem
    size = config.captioner.decoder.vocabulary_size
    if len(vocabulary) != size:
        raise ValueError(
            f"{path.name} has {len(vocabulary)} words, but the captioner was trained with {size}; "
            f"{_COPY}"
        )
    if config.sha256 and _vocabulary_digest(vocabulary) != config.sha256.vocabulary:
        raise ValueError(
            f"{path.name} does not have the words, or the word order, that the captioner was "
            f"trained with; {_COPY}"
        )
    return vocabulary


def _check_grid(captioner: Captioner, config: _Config) -> None:
    shape = captioner.encoder.output_shape[1:]
    if config.grid and shape != config.grid:
        raise ValueError(
            f"{config.captioner.encoder} makes a grid of {shape} from images of "
            f"{config.captioner.image_size} pixels, but the decoder was trained on {config.grid}; "
            f"{_COPY}"
        )


def _check_weights(path: Path, config: _Config) -> None:
    if config.sha256 and file_sha256(_require_file(path)) != config.sha256.weights:
        raise ValueError(
            f"{path.name} is truncated, damaged or from another captioner: its SHA-256 is not the "
            f"one in {_CONFIG}; {_COPY}"
        )


def _load_weights(captioner: Captioner, path: Path) -> None:
    arrays = _read_arrays(path)
    variables = dict(_variables(captioner))
    if different := sorted(variables.keys() ^ arrays.keys()):
        raise ValueError(f"{path.name} and {_CONFIG} differ in {different[0]}; {_COPY}")
    for name, variable in variables.items():
        array = arrays[name]
        if array.shape != tuple(variable.shape):
            raise ValueError(
                f"{name} has shape {array.shape} in {path.name}, but {_CONFIG} requires "
                f"{tuple(variable.shape)}; {_COPY}"
            )
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(
                f"{name} in {path.name} has values that are not finite numbers: the training "
                "diverged; train again with a lower learning_rate"
            )
        variable.assign(array.astype(np.float32))


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    _require_file(path)
    try:
        # Opened here because NumPy leaves a file open if it is not an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as problem:
        raise ValueError(f"{path.name} is truncated or damaged ({problem}); {_COPY}") from problem


def _require_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing; give the folder of a complete checkpoint")
    return path


def _vocabulary_digest(vocabulary: Vocabulary) -> str:
    """Return the SHA-256 of the words, independent of the file's line endings."""
    return hashlib.sha256("".join(f"{word}\n" for word in vocabulary.words).encode()).hexdigest()


def _one_line(problem: object) -> str:
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
