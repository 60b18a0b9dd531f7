"""The encoder's grids of a whole data set, computed once and kept in a file."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.datasets import Dataset, Example
from models.pictures import squeeze

_BATCH = 32


def cached_grids(
    path: Path,
    encoder: keras.Model,
    dataset: Dataset,
    examples: Sequence[Example],
    *,
    mirrored: bool = False,
) -> NDArray[np.float16]:
    """Return the examples' grids, from the file where it exists and fits.

    Args:
        path: A `.npy` file; written whole or not at all.
        encoder: Pixels to grids.
        dataset: Where the examples' pictures are.
        examples: In the order of the result.
        mirrored: Whether the pictures are flipped left to right first.

    Returns:
        float16 [len(examples), rows, columns, channels], mapped from the file.
    """
    shape = (len(examples), *encoder.output_shape[1:])
    if path.exists():
        grids = _mapped(path)
        if grids.shape == shape:
            return grids
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    grids = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    progress = tqdm(total=len(examples), desc=f"grids {path.stem}", unit="image")
    start = 0
    for batch in _batches(dataset, examples, encoder.input_shape[1], mirrored):
        grids[start : start + len(batch)] = encoder.predict_on_batch(batch)
        start += len(batch)
        progress.update(len(batch))
    progress.close()
    grids.flush()
    partial.rename(path)
    return _mapped(path)


def _mapped(path: Path) -> NDArray[np.float16]:
    grids: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return grids


def _batches(
    dataset: Dataset, examples: Sequence[Example], side: int, mirrored: bool
) -> Iterator[NDArray[np.float32]]:
    def read(example: Example) -> NDArray[np.uint8]:
        image = squeeze(dataset.image(example.name), side)
        return image[:, ::-1] if mirrored else image

    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(lambda part: [read(e) for e in part], examples[:_BATCH])
        for start in range(0, len(examples), _BATCH):
            images = ahead.result()
            following = examples[start + _BATCH : start + 2 * _BATCH]
            ahead = reader.submit(lambda part: [read(e) for e in part], following)
            yield np.stack(images).astype(np.float32)
