"""How much of each concept a picture has, where, and what that adds to words.

A concept is a direction v in the space of the grid's channels (Kim et al., Interpretability Beyond
Feature Attribution: Quantitative Testing with Concept Activation Vectors, ICML 2018). Shapes
below: K concepts, C channels, W words.

The concept bank: of words that a captioner says, the concepts that were found for them offline.

It lies in the captioner's folder as `concepts.npz` and holds, for each concept, its direction (half
precision), its statistics, how much of it other pictures have, and a generated picture (WebP): no
photograph, and no part of one. Nothing here needs TensorFlow, so that the server can tell early
whether there is a bank.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from models.digests import weights_sha256

Array = NDArray[np.float32]

_TINY = 1e-6
FILE = "concepts.npz"
FORMAT = 1
ENOUGH_SCENES = 40
"""Fewer are too few for a test."""

_FIT = "`python -m inference.concepts fit --data DIR`"
_NUMBERS = {
    "number": np.int16,
    "mean": np.float32,
    "deviation": np.float32,
    "tcav": np.float32,
    "tcav_random": np.float32,
    "p": np.float64,
    "accuracy": np.float32,
    "scenes": np.int32,
}


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Concepts, and how much of each other pictures have."""

    vectors: Array
    """[K, C], of length 1 each."""
    means: Array
    """[K], of A . v over the cells of other pictures."""
    deviations: Array
    """[K], the standard deviation of that; above 0."""


class Scores(NamedTuple):
    """Of concepts in one picture."""

    cells: Array
    """[K, rows, columns]: how much of each there is, in standard deviations above the mean over
    other pictures' cells."""
    presence: Array
    """[K]: the most of any cell."""
    support: Array
    """[W, K]: what each adds to each word's logit, by the gradient: the sum over the cells of how
    much more of it there is than the mean, times the slope of the logit along it."""


def background(vectors: Array, grids: Array) -> Directions:
    """Measure how much of each concept pictures have that were not chosen for it.

    Args:
        vectors: [K, C], of any length but 0.
        grids: Of those pictures, [B, rows, columns, C].
    """
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = grids.reshape(-1, grids.shape[-1]) @ units.T
    return Directions(units, found.mean(axis=0), np.maximum(found.std(axis=0), _TINY))


def score(grid: Array, gradients: Array, directions: Directions) -> Scores:
    """Hold a picture against concepts: one matrix product for all of them.

    Args:
        grid: A, [rows, columns, C].
        gradients: Of each word's logit at the grid, dz/dA, [W, rows, columns, C].
        directions: The concepts.
    """
    along = np.concatenate([grid[None], gradients]) @ directions.vectors.T
    above, slopes = along[0] - directions.means, along[1:]
    cells = np.moveaxis(above / directions.deviations, -1, 0)
    support = np.einsum("rck,wrck->wk", above, slopes)
    return Scores(cells, cells.max(axis=(1, 2)), support)


class BankError(ValueError):
    """The folder holds no bank of its captioner; the message says why."""


class FittedWord(BaseModel):
    """How the concepts of a word were sought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int
    """In which they were sought."""
    scenes: int
    """Over which the word's logit was tested."""
    others: list[float]
    """p, as `BankConcept.p`, of concepts that were tested and are not kept: what is said of the
    others has to be corrected for these tests too."""


class About(BaseModel):
    """What the bank is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    weights_sha256: str
    """Of the captioner's weights."""
    captioned: int
    """Training pictures whose captions by the captioner decided which words to fit."""
    said: dict[str, int]
    """In how many of them each content word was said; no picture is of the same scene as another.
    Words that are not here were in none."""
    fitted: dict[str, FittedWord]
    """By word."""


@dataclass(frozen=True, slots=True, eq=False)
class BankConcept:
    """A concept of the bank."""

    word: str
    number: int
    """Of the word's, from 1."""
    direction: NDArray[np.float32]
    """[channels], of length 1."""
    mean: float
    """Of A . v over the cells of other pictures; `deviation` is its standard deviation."""
    deviation: float
    tcav: float
    """See `Evidence`."""
    tcav_random: float
    p: float
    """Two-sided, not corrected: what has to be corrected for is the whole bank."""
    accuracy: float
    """Share of patches that are told rightly from random ones by the direction, in 0..1."""
    scenes: int
    picture: bytes
    """WebP; empty if there is none."""

    @property
    def id(self) -> str:
        """`dog-2`."""
        return f"{self.word}-{self.number}"


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """The concepts of a captioner's words."""

    about: About
    concepts: tuple[BankConcept, ...]

    def of(self, words: Sequence[str]) -> list[int]:
        """Places of the concepts of words, in the bank's order."""
        return [place for place, each in enumerate(self.concepts) if each.word in words]

    def directions(self, places: Sequence[int]) -> Directions:
        """The directions of concepts at these places; one at least."""
        chosen = [self.concepts[place] for place in places]
        return Directions(
            np.stack([each.direction for each in chosen]),
            np.array([each.mean for each in chosen], np.float32),
            np.array([each.deviation for each in chosen], np.float32),
        )

    def why_none(self, word: str) -> str:
        """Say, for people, why a word has no concepts here."""
        fitted, said = self.about.fitted.get(word), self.about.said.get(word, 0)
        if fitted:
            return (
                f"no concept of `{word}` held in the {fitted.scenes} scenes in which it was sought"
            )
        known = f"the bank knows no `{word}`"
        if said >= ENOUGH_SCENES:
            return f"{known}: it was fitted for other words"
        scenes = "1 scene" if said == 1 else f"{said} scenes"
        return (
            f"{known}: the captioner said it of {scenes} of the training data, and "
            f"{ENOUGH_SCENES} are needed"
        )


def has_bank(folder: Path) -> bool:
    """Whether the folder holds a bank, be it the captioner's or not."""
    return (folder / FILE).is_file()


def write_bank(folder: Path, bank: Bank) -> None:
    """Write the bank into a captioner's folder, in place of the one that is there.

    Raises:
        OSError: If it cannot be written.
    """
    concepts = bank.concepts
    ends = np.cumsum([len(each.picture) for each in concepts], dtype=np.int64)
    arrays: dict[str, Any] = {
        "about": np.array(bank.about.model_dump_json()),
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
        raise BankError(f"this captioner has no concept bank: make one with {_FIT}")
    try:
        # Opened here, as NumPy leaves a file open in which it finds no archive.
        with (folder / FILE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            bank = _from_arrays(dict(arrays))
        weights = weights_sha256(folder)
    except (OSError, zipfile.BadZipFile, EOFError, KeyError, ValueError, TypeError) as problem:
        if isinstance(problem, BankError):
            raise BankError(str(problem)) from problem
        line = " ".join(str(problem).split())
        raise BankError(f"{FILE} is cut off or damaged ({line}): make it anew with {_FIT}") from (
            problem
        )
    if bank.about.weights_sha256 != weights:
        raise BankError(
            f"{FILE} was fitted for another captioner's weights, so its concepts mean nothing "
            f"here: make one with {_FIT}"
        )
    return bank


def encoded_picture(picture: NDArray[np.uint8]) -> bytes:
    """Encode RGB [h, w, 3] as WebP, as the bank keeps it."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "webp", quality=80, method=6)
    return buffer.getvalue()


def decoded_picture(picture: bytes) -> NDArray[np.uint8]:
    """Decode what `encoded_picture` made: uint8 [h, w, 3]."""
    with Image.open(io.BytesIO(picture)) as opened:
        return np.asarray(opened.convert("RGB"), np.uint8)


def _from_arrays(arrays: dict[str, NDArray[Any]]) -> Bank:
    about = _about(str(arrays["about"]))
    count = len(arrays["words"])
    if any(len(arrays[name]) != count for name in ("directions", "picture_ends", *_NUMBERS)):
        raise ValueError("its arrays are of different lengths")
    directions = arrays["directions"].astype(np.float32)
    pictures = arrays["pictures"].tobytes()
    starts = [0, *arrays["picture_ends"].tolist()]
    return Bank(
        about,
        tuple(
            BankConcept(
                word=str(arrays["words"][place]),
                direction=directions[place] / np.linalg.norm(directions[place]),
                picture=pictures[starts[place] : starts[place + 1]],
                **{name: arrays[name][place].item() for name in _NUMBERS},
            )
            for place in range(count)
        ),
    )


def _about(text: str) -> About:
    made = json.loads(text).get("format")
    if made != FORMAT:
        raise BankError(
            f"{FILE} has format {made}, this version reads format {FORMAT}: update Sightline, or "
            "fit it anew"
        )
    try:
        return About.model_validate_json(text)
    except ValidationError as problem:
        raise ValueError(str(problem.errors()[0]["msg"])) from problem
