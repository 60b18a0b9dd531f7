"""The concept bank, and the scores of its concepts in an image.

A concept is a direction v in the space of the grid's channels (Kim et al., Interpretability Beyond
Feature Attribution: Quantitative Testing with Concept Activation Vectors, ICML 2018). A score is
how present it is, where, and how much it adds to words. Shapes: K concepts, C channels, W words.

The file `concepts.npz` in the captioner's folder holds the concepts that were shown to matter for
their word, and of each its direction (half precision), its test statistics, its distribution over
other images, and a generated image (WebP); no photograph, nor part of one. This module needs no
TensorFlow, so the server can check early whether there is a bank.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference.concepts.findings import MIN_SCENES, Evidence, FalsePositives, Verdict
from inference.concepts.verdicts import add_false_positives
from models.digests import weights_sha256

Array = NDArray[np.float32]

FILE = "concepts.npz"
FORMAT = 2

_FIT = "python -m inference.concepts fit --data DIR"
_NUMBERS = {
    "number": np.int16,
    "mean": np.float32,
    "deviation": np.float32,
    "tcav": np.float32,
    "effect": np.float32,
    "p": np.float64,
    "scenes": np.int32,
}
"""Arrays of numbers in the file, with one value for each concept."""

_MIN_DEVIATION = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ConceptDirections:
    """Concept directions, and the distribution of their activations over other images."""

    vectors: Array
    """[K, C], each of length 1."""
    means: Array
    """[K], mean of A . v over the cells of other images."""
    deviations: Array
    """[K], standard deviation of the same, above 0."""


class ConceptScores(NamedTuple):
    """Scores of concepts in one image."""

    cells: Array
    """[K, rows, columns]: activations, in standard deviations above the mean over other images."""
    presence: Array
    """[K]: the maximum over the cells."""
    support: Array
    """[W, K]: contribution of each concept to each word's logit, by the gradient: the sum over the
    cells of the activation above the mean times the slope of the logit along the direction."""


def measure_background(vectors: Array, grids: Array) -> ConceptDirections:
    """Measure the activations of directions in images that were not chosen for the concepts.

    Args:
        vectors: [K, C], of any length but 0.
        grids: The cells of those images, [B, rows, columns, C].
    """
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    activations = grids.reshape(-1, grids.shape[-1]) @ units.T
    deviations = np.maximum(activations.std(axis=0), _MIN_DEVIATION)
    return ConceptDirections(units, activations.mean(axis=0), deviations)


def score(grid: Array, gradients: Array, directions: ConceptDirections) -> ConceptScores:
    """Score an image for all concepts, with a single matrix product.

    Args:
        grid: A, the cells, [rows, columns, C].
        gradients: Gradient of each word's logit at the cells, dz/dA, [W, rows, columns, C].
        directions: The concepts.
    """
    projected = np.concatenate([grid[None], gradients]) @ directions.vectors.T
    above, slopes = projected[0] - directions.means, projected[1:]
    cells = np.moveaxis(above / directions.deviations, -1, 0)
    support = np.einsum("rck,wrck->wk", above, slopes)
    return ConceptScores(cells, cells.max(axis=(1, 2)), support)


class BankError(ValueError):
    """The folder holds no usable concept bank of its captioner."""


class FittedWord(BaseModel):
    """How the concepts of a word were found."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    images: int = Field(alias="pictures")
    """Images that were segmented to find them."""
    scenes: int
    """Scenes over which the word's logit was tested."""
    tests: int
    """Concepts that were tested, kept or not."""
    false_positives: FalsePositives | None
    """Of these tests; None if there were none."""


class BankMetadata(BaseModel):
    """What the bank was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    format: int = FORMAT
    weights_sha256: str
    """Of the captioner's weights."""
    images: int = Field(alias="captioned")
    """Training images that were captioned to choose the words to fit."""
    word_counts: dict[str, int] = Field(alias="said")
    """Number of these captions that contain each content word; words that are missing are in none.
    No two images show the same scene."""
    fitted: dict[str, FittedWord]
    """By word."""


@dataclass(frozen=True, slots=True, eq=False)
class BankConcept:
    """A concept in the bank: it was shown to matter for its word."""

    word: str
    number: int
    """Among the word's concepts, from 1."""
    direction: NDArray[np.float32]
    """[channels], of length 1."""
    mean: float
    """Mean of A . v over the cells of other images."""
    deviation: float
    """Standard deviation of the same."""
    tcav: float
    """This and the next three: see `Evidence`."""
    effect: float
    p: float
    scenes: int
    picture: bytes
    """WebP; empty if there is none."""

    @property
    def id(self) -> str:
        """`dog-2`."""
        return f"{self.word}-{self.number}"

    @property
    def evidence(self) -> Evidence:
        """Result of its test."""
        verdict: Verdict = "supports" if self.effect > 0 else "opposes"
        return Evidence(self.tcav, self.effect, self.p, self.scenes, verdict)


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """The concepts of a captioner's words."""

    metadata: BankMetadata
    concepts: tuple[BankConcept, ...]

    def indices(self, words: Sequence[str]) -> list[int]:
        """Return the indices of the concepts of words, in the bank's order."""
        return [index for index, each in enumerate(self.concepts) if each.word in words]

    def directions(self, indices: Sequence[int]) -> ConceptDirections:
        """Return the directions of the concepts at these indices; at least one."""
        chosen = [self.concepts[index] for index in indices]
        return ConceptDirections(
            np.stack([each.direction for each in chosen]),
            np.array([each.mean for each in chosen], np.float32),
            np.array([each.deviation for each in chosen], np.float32),
        )

    def false_positives(self) -> FalsePositives | None:
        """Return how often random concepts passed the tests; None if nothing was tested."""
        return add_false_positives(each.false_positives for each in self.metadata.fitted.values())

    def missing_reason(self, word: str) -> str:
        """Explain why a word has no concepts here, as text for people."""
        fitted, count = self.metadata.fitted.get(word), self.metadata.word_counts.get(word, 0)
        if fitted:
            where = f"shown to matter for “{word}” in {fitted.scenes} scenes"
            if fitted.tests == 1:
                return f"the only concept that was tested was not {where}"
            return f"none of {fitted.tests} concepts that were tested was {where}"
        missing = f"“{word}” is not in the concept bank"
        if count >= MIN_SCENES:
            return f"{missing}: the bank was fitted for other words"
        captions = (
            "1 training caption contains" if count == 1 else f"{count} training captions contain"
        )
        return f"{missing}: {captions} the word, but at least {MIN_SCENES} are needed"


def has_bank(folder: Path) -> bool:
    """Return whether the folder holds a bank file, without checking that it fits the captioner."""
    return (folder / FILE).is_file()


def write_bank(folder: Path, bank: Bank) -> None:
    """Write the bank into a captioner's folder, replacing any other.

    Raises:
        OSError: If it cannot be written.
    """
    concepts = bank.concepts
    ends = np.cumsum([len(each.picture) for each in concepts], dtype=np.int64)
    arrays: dict[str, Any] = {
        "about": np.array(bank.metadata.model_dump_json(by_alias=True)),
        "words": np.array([each.word for each in concepts], np.str_),
        "directions": np.array([each.direction for each in concepts], np.float16),
        "pictures": np.frombuffer(b"".join(each.picture for each in concepts), np.uint8),
        "picture_ends": ends,
        **{
            name: np.array([getattr(each, name) for each in concepts], dtype)
            for name, dtype in _NUMBERS.items()
        },
    }
    partial = folder / f"{FILE}.partial"
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(folder / FILE)


def read_bank(folder: Path) -> Bank:
    """Read the bank of the captioner in a folder.

    Raises:
        BankError: If there is none, it is damaged, or it was fitted for other weights.
    """
    if not has_bank(folder):
        raise BankError(f"this captioner has no concept bank; create one with: {_FIT}")
    try:
        # Opened here, because NumPy leaves a file open that is not an archive.
        with (folder / FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            bank = _from_arrays(dict(arrays))
        weights = weights_sha256(folder)
    except BankError:
        raise
    except (OSError, zipfile.BadZipFile, EOFError, KeyError, ValueError, TypeError) as problem:
        line = " ".join(str(problem).split())
        raise BankError(
            f"{FILE} is truncated or damaged ({line}); recreate it with: {_FIT}"
        ) from problem
    if bank.metadata.weights_sha256 != weights:
        raise BankError(
            f"{FILE} was fitted for another captioner's weights; create a matching bank with: "
            f"{_FIT}"
        )
    return bank


def _from_arrays(arrays: dict[str, NDArray[Any]]) -> Bank:
    metadata = _read_metadata(str(arrays["about"]))
    count = len(arrays["words"])
    if any(len(arrays[name]) != count for name in ("directions", "picture_ends", *_NUMBERS)):
        raise ValueError("its arrays have different lengths")
    directions = arrays["directions"].astype(np.float32)
    images = arrays["pictures"].tobytes()
    starts = [0, *arrays["picture_ends"].tolist()]
    return Bank(
        metadata,
        tuple(
            BankConcept(
                word=str(arrays["words"][index]),
                direction=directions[index] / np.linalg.norm(directions[index]),
                picture=images[starts[index] : starts[index + 1]],
                **{name: arrays[name][index].item() for name in _NUMBERS},
            )
            for index in range(count)
        ),
    )


def _read_metadata(text: str) -> BankMetadata:
    file_format = json.loads(text).get("format")
    if file_format != FORMAT:
        raise BankError(
            f"{FILE} has format {file_format}, but this version reads format {FORMAT}: update "
            "Sightline, or fit the bank again"
        )
    try:
        return BankMetadata.model_validate_json(text)
    except ValidationError as problem:
        raise ValueError(str(problem.errors()[0]["msg"])) from problem
