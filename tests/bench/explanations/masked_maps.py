"""Time occlusion and RISE, word by word and as Sightline computes them.

`python -m tests.bench.explanations.masked_maps [--captioner DIR] [--images N]`

Word by word: each masked copy is encoded and scored for one word, a few at a time, and nothing is
kept for the next word. Both are run in turn on the same images; the maps must be the same.
"""

import argparse
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

# Before TensorFlow: libsrtp crashes if it is loaded after it, and reading footage loads it.
import aiortc  # noqa: F401
import numpy as np
from numpy.typing import NDArray

from inference.captioners.opening import open_captioner
from inference.captioning.model import CaptionModel
from inference.explanations import RoughMap, Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masking import cells_to_pixels, encode_masked
from inference.explanations.methods import METHODS
from inference.explanations.methods.occlusion import Occlusion, mean_drops
from inference.explanations.score import Score, target_score
from inference.startup import use_one_thread
from models.catalogue import SHIPPED_FOLDER
from tests.bench.machine import load_average
from tests.support.load.footage import footage_images
from tests.support.oracle.plain_masking import plain_masks

Array = NDArray[np.float32]
_CELLS, _MASKS = 7, 400


def occlusion_word_by_word(subject: CaptionedImage, score: Score) -> Array:
    """Compute one word's map by occlusion."""
    windows = np.concatenate(Occlusion().tilings())
    visible = [1 - cells_to_pixels(window, len(subject.pixels)) for window in windows]
    whole = score.logits(subject.grid[None])
    drops = [whole - score.logits(grids) for grids in encode_masked(subject, visible)]
    return np.maximum(mean_drops(np.concatenate(drops), windows), 0)


def rise_word_by_word(subject: CaptionedImage, score: Score) -> Array:
    """Compute one word's map by RISE."""
    side, size = len(subject.pixels), subject.model.max_batch
    total, visible = np.zeros((2, side, side), np.float32)
    masks = plain_masks(side, _CELLS)
    for start in range(0, _MASKS, size):
        batch = [mask.astype(np.float32) for mask in islice(masks, min(size, _MASKS - start))]
        (grids,) = encode_masked(subject, batch)
        total += np.tensordot(score.probabilities(grids), np.stack(batch), axes=1)
        visible += np.sum(batch, axis=0)
    mean = total / visible
    return np.asarray(mean - mean.min(), np.float32)


_WORD_BY_WORD: dict[str, Callable[[CaptionedImage, Score], Array]] = {
    "occlusion": occlusion_word_by_word,
    "rise": rise_word_by_word,
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captioner", type=Path, default=SHIPPED_FOLDER, metavar="DIR")
    parser.add_argument("--images", type=int, default=3, metavar="N")
    options = parser.parse_args()
    use_one_thread()
    model = open_captioner(options.captioner)
    model.warm_up()
    images = footage_images(model.image_size)
    images = images[:: max(1, len(images) // options.images)][: options.images]
    print(f"load average {load_average()[0]}; seconds, medians of {len(images)} images")
    for name in _WORD_BY_WORD:
        rows = [_measure(model, image, name) for image in images]
        medians = np.median(rows, axis=0)
        before, first, rough, rest, slice_s = medians[:5]
        print(
            f"{name}: a word alone {before:.2f}; now the first word {first:.2f}, each further word "
            f"{rest:.3f}, the first rough map {rough:.2f}, the longest slice {slice_s:.3f}; "
            f"largest difference of the maps {np.max(rows, axis=0)[5]:.1e} of the peak"
        )


def _measure(model: CaptionModel, image: NDArray[np.uint8], name: str) -> list[float]:
    """Return the times of one image in seconds, and the difference of the first word's maps."""
    found = model.search(model.encode([image])).tokens[0]
    subject = CaptionedImage(model, image, tuple(int(token) for token in found if token))
    word = len(subject.spans) // 2
    begun = time.perf_counter()
    alone = _WORD_BY_WORD[name](subject, target_score(subject, Target("word", word)))
    before = time.perf_counter() - begun
    first, rough, slice_s, values = _explain(subject, name, word)
    others = [index for index in range(len(subject.spans)) if index != word]
    rest = float(np.mean([_explain(subject, name, index)[0] for index in others]))
    difference = float(np.abs(values - alone).max() / max(float(alone.max()), 1e-9))
    return [before, first, rough, rest, slice_s, difference]


def _explain(subject: CaptionedImage, name: str, index: int) -> tuple[float, float, float, Array]:
    """Return the time of a map, of its first rough map, of its longest slice, and the map."""
    work = METHODS[name].explain(subject, Target("word", index))
    begun = last = time.perf_counter()
    rough, slice_s = float("nan"), 0.0
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            now = time.perf_counter()
            return now - begun, rough, max(slice_s, now - last), end.value.values
        now = time.perf_counter()
        slice_s, last = max(slice_s, now - last), now
        if isinstance(step, RoughMap) and np.isnan(rough):
            rough = now - begun


if __name__ == "__main__":
    main()
