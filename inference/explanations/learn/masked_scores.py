"""Probabilities of captions' words in masked images, which maps are learned from.

For each image of a dataset, its caption is scored by teacher forcing in a few masked copies of the
image. A mask hides whole cells of the encoder's grid, as deletion and insertion curves do, under
the image's mean colour or by a heavy blur. Masks come in pairs that hide complementary cells
(Covert and Lee, "Improving KernelSHAP", AISTATS 2021). Shapes: P images, M masks of each, T places
of a caption, C channels of a cell, W the width of the decoder's state.
"""

import hashlib
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel, Image
from inference.captioning.objective import LogitTerms
from inference.faithfulness.metrics import CellGrid, blank, blur
from models.captioner import BeamCaption
from models.datasets import Dataset
from models.language import PAD

CHUNK = 32
"""Images in one file of the cache."""

_FORMAT = 1
_FIELD_SIDES = (3, 4, 5, 7)
"""Cells on a side of the noise that masks are thresholds of: smaller ones give larger regions."""
_ROUGH_SIDE, _ROUGHNESS = 9, 0.3
"""Cells on a side of the noise that makes the borders of the regions irregular, and its share."""
_GUIDANCE = 1.0
"""Standard deviation of the weight of a word's map in the noise of every second pair."""


class MaskedScores(NamedTuple):
    """Images, their captions, and how likely each token is in masked copies of the image."""

    cells: NDArray[np.float16]
    """[P, rows, columns, C]: the cells of the whole image's encoding."""
    hidden: NDArray[np.float16]
    """[P, T, W]: the decoder's state before each token; W is 0 if it has none."""
    tokens: NDArray[np.int32]
    """[P, T]: the caption's words; `PAD` after them."""
    base: NDArray[np.float32]
    """[P, T, rows, columns]: the maps of the captioner's first live method, signed."""
    whole: NDArray[np.float32]
    """[P, T]: log p(token | previous tokens) in the whole image."""
    visible: NDArray[np.bool_]
    """[P, M, rows, columns]: the cells that a mask leaves visible. Masks 2k and 2k + 1 are
    complementary."""
    blurred: NDArray[np.bool_]
    """[P, M]: whether the other cells are blurred instead of painted in the mean colour."""
    masked: NDArray[np.float32]
    """[P, M, T]: log p(token | previous tokens) in the masked image."""


def masked_scores(
    model: CaptionModel,
    dataset: Dataset,
    names: Sequence[str],
    masks: int,
    cache: Path,
    source: Sequence[str] = (),
    seed: int = 0,
) -> Generator[Path]:
    """Score the captions of images in masked copies, and keep the scores in a folder.

    Files that are already there are not computed again, so an interrupted run continues.

    Args:
        model: The captioner.
        dataset: Holds the images.
        names: Names of the images; `CHUNK` of them go into each file.
        masks: M, an even number.
        cache: A folder for this captioner; created if it does not exist.
        source: Identifies the dataset.
        seed: Of the masks.

    Yields:
        The file of each chunk, in order.

    Raises:
        models.datasets.DatasetError: If an image cannot be read.
        OSError: If a file cannot be written.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        key = json.dumps([_FORMAT, list(source), masks, seed, start, list(chunk)]).encode()
        path = cache / f"{hashlib.sha256(key).hexdigest()[:32]}.npz"
        if not path.is_file():
            rows = [
                _score(model, dataset.image(name), masks, np.random.default_rng((seed, index)))
                for index, name in enumerate(chunk, start)
            ]
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, **_stack(rows)._asdict())
            partial.replace(path)
        yield path


def read_scores(path: Path) -> MaskedScores:
    """Read a file of the cache."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return MaskedScores(**dict(arrays))


def _score(
    model: CaptionModel, image: Image, masks: int, random: np.random.Generator
) -> MaskedScores:
    """Score one image; without the axis P, and with as many places as the caption has words."""
    image = model.preprocess(image)
    encoding = model.encode([image])
    found = BeamCaption(*(np.asarray(part)[0] for part in model.search(encoding)))
    tokens = np.array(model.wording.strip(found.tokens), np.int32)
    if not len(tokens):
        tokens = np.array([PAD], np.int32)
    terms = LogitTerms(tokens[None], np.full_like(tokens, PAD)[None])
    base = model.token_maps(model.live_methods[0], encoding, [found], terms)[0]
    visible = draw_masks(base[tokens != PAD], model.grid_size, masks, random)
    blurred = np.arange(masks) // 2 % 2 == 1
    grid = CellGrid(*model.grid_size, model.image_size)
    fills = blank(image), blur(image)
    copies = [
        np.where(grid.to_pixels(each.reshape(-1)), image, fills[int(kind)])
        for each, kind in zip(visible, blurred, strict=True)
    ]
    caption = [int(token) for token in found.tokens if token != PAD]
    masked = model.rescore(model.encode(copies), [caption] * masks).log_probs
    return MaskedScores(
        cells=model.cells(encoding)[0].astype(np.float16),
        hidden=found.hidden[: len(tokens)].astype(np.float16),
        tokens=tokens,
        base=base,
        whole=found.log_probs[: len(tokens)],
        visible=visible,
        blurred=blurred,
        masked=np.asarray(masked)[:, : len(tokens)],
    )


def draw_masks(
    maps: NDArray[np.float32], shape: tuple[int, int], masks: int, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw pairs of complementary masks of cells.

    A mask leaves the cells visible where noise is highest, in any share of the image. The noise is
    smooth, as regions that words depend on are coherent. In every second pair the map of a word is
    added to it, so that many masks separate what probably matters from the rest.

    Args:
        maps: [words, rows, columns], signed; may be empty.
        shape: Rows and columns.
        masks: Number of masks, even.
        random: Draws them.

    Returns:
        [masks, rows, columns], true where visible.
    """
    rows, columns = shape
    drawn = []
    for pair in range(masks // 2):
        side = int(random.choice(_FIELD_SIDES))
        field = _noise(side, shape, cv2.INTER_CUBIC, random)
        field += _ROUGHNESS * _noise(_ROUGH_SIDE, shape, cv2.INTER_NEAREST, random)
        guided = pair // 2 % 2 == 1 and len(maps)
        if guided:
            field = field + random.normal(0, _GUIDANCE) * _standardise(random.choice(maps))
        count = int(random.integers(1, rows * columns))
        highest = np.argsort(-field.ravel())[:count]
        visible = np.zeros(rows * columns, bool)
        visible[highest] = True
        drawn += [visible, ~visible]
    return np.stack(drawn).reshape(masks, rows, columns)


def _noise(
    side: int, shape: tuple[int, int], method: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Draw noise of at most `side` independent values a side, of variance 1: [rows, columns]."""
    rows, columns = shape
    values = random.standard_normal((min(side, rows), min(side, columns)))
    resized = cv2.resize(values, (columns, rows), interpolation=method)
    return _standardise(np.asarray(resized, np.float64))


def _standardise(field: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float64)


def _stack(rows: Sequence[MaskedScores]) -> MaskedScores:
    """Stack scores of single images, padded to the same number of places."""
    places = max(len(row.tokens) for row in rows)

    def pad(array: NDArray[Any], axis: int) -> NDArray[Any]:
        widths = [(0, 0)] * array.ndim
        widths[axis] = (0, places - array.shape[axis])
        return np.pad(array, widths)

    padded = [
        row._replace(
            hidden=pad(row.hidden, 0),
            tokens=pad(row.tokens, 0),
            base=pad(row.base, 0),
            whole=pad(row.whole, 0),
            masked=pad(row.masked, 1),
        )
        for row in rows
    ]
    return MaskedScores(*(np.stack(parts) for parts in zip(*padded, strict=True)))
