"""What a frozen network makes of a whole data set, computed once and kept in a file."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.datasets import Dataset, Example
from models.preprocessing import look, squeeze

_BATCH = 32


Features = NDArray[np.float16]


def cached_features(
    path: Path, network: keras.Model, dataset: Dataset, examples: Sequence[Example], views: int = 1
) -> Features:
    """Return the network's output for the examples' pictures, from the file where it fits.

    Args:
        path: A `.npy` file; written whole or not at all.
        network: Pixels 0..255 [B, S, S, 3] to anything.
        dataset: Where the examples' pictures are.
        examples: In the order of the result.
        views: How many of `models.preprocessing` each picture is shown in.

    Returns:
        float16 [len(examples), views, ...], mapped from the file.
    """
    side = network.input_shape[1]

    def pictures(part: Sequence[Example]) -> NDArray[np.uint8]:
        return np.stack(
            [
                squeeze(np.ascontiguousarray(look(image, example.name, view)), side)
                for example in part
                for image in [dataset.image(example.name)]
                for view in range(views)
            ]
        )

    return _cached(path, network, examples, views, pictures)


def derived_features(path: Path, network: keras.Model, features: Features) -> Features:
    """Return what another network makes of cached features [N, views, ...], likewise."""

    def rows(part: Features) -> Features:
        return part.reshape(-1, *features.shape[2:])

    return _cached(path, network, features, features.shape[1], rows)


def _cached(
    path: Path,
    network: keras.Model,
    items: Sequence[Any] | Features,
    views: int,
    inputs: Callable[[Any], NDArray[Any]],
) -> Features:
    shape = (len(items), views, *network.output_shape[1:])
    if path.exists():
        features = _mapped(path)
        if features.shape == shape:
            return features
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    features = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    progress = tqdm(total=len(items), desc=f"features {path.stem}", unit="image", mininterval=5)
    start = 0
    for batch in _ahead(items, max(1, _BATCH // views), inputs):
        count = len(batch) // views
        made = network.predict_on_batch(batch.astype(np.float32))
        features[start : start + count] = made.reshape(count, *shape[1:])
        start += count
        progress.update(count)
    progress.close()
    features.flush()
    partial.rename(path)
    return _mapped(path)


def _mapped(path: Path) -> Features:
    features: Features = np.load(path, mmap_mode="r")
    return features


def _ahead(items: Any, size: int, inputs: Callable[[Any], NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Read each batch while the one before is computed."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(inputs, items[:size])
        for start in range(0, len(items), size):
            batch = following.result()
            if start + size < len(items):
                following = reader.submit(inputs, items[start + size : start + 2 * size])
            yield batch
