"""Training data: cached features of images, and batches of them with their captions."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.datasets import Dataset, Example
from models.language import PAD, Vocabulary, tokenize
from models.lite import LiteNetwork, make_converter
from models.preprocessing import augmented_view, is_mirrored, resize_to_square
from models.training.config import TrainingConfig
from models.training.model import Inputs

_BATCH = 32
"""Views of images that are read ahead when features are computed."""

Features = NDArray[np.float16]


def cached_features(
    path: Path, network: keras.Model, dataset: Dataset, examples: Sequence[Example], views: int = 1
) -> Features:
    """Return a network's output for the examples' images, from the file if it fits.

    Args:
        path: A `.npy` file, written as a whole or not at all.
        network: From pixels in 0..255 [B, S, S, 3] to any features.
        dataset: The dataset of the examples.
        examples: In the order of the result.
        views: Number of augmented views of each image; see `models.preprocessing`.

    Returns:
        float16 [len(examples), views, ...], memory-mapped from the file.
    """
    side = network.input_shape[1]

    def read(part: Sequence[Example]) -> NDArray[np.uint8]:
        return np.stack(
            [
                resize_to_square(
                    np.ascontiguousarray(augmented_view(image, example.name, view)), side
                )
                for example in part
                for image in [dataset.image(example.name)]
                for view in range(views)
            ]
        )

    return _cached(path, network, examples, views, read)


def derived_features(path: Path, network: keras.Model, features: Features) -> Features:
    """Return a network's output for cached features [N, views, ...], from the file if it fits."""

    def read(part: Features) -> Features:
        return part.reshape(-1, *features.shape[2:])

    return _cached(path, network, features, features.shape[1], read)


def _cached(
    path: Path,
    network: keras.Model,
    items: Sequence[Any] | Features,
    views: int,
    read: Callable[[Any], NDArray[Any]],
) -> Features:
    shape = (len(items), views, *network.output_shape[1:])
    if path.exists():
        features = _memory_mapped(path)
        if features.shape == shape:
            return features
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    features = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    progress = tqdm(total=len(items), desc=f"features {path.stem}", unit="image", mininterval=5)
    run = LiteNetwork(bytes(make_converter(network).convert()), os.cpu_count() or 1)
    start = 0
    for batch in _read_ahead(items, max(1, _BATCH // views), read):
        count = len(batch) // views
        features[start : start + count] = run(batch).reshape(count, *shape[1:])
        start += count
        progress.update(count)
    progress.close()
    features.flush()
    partial.rename(path)
    return _memory_mapped(path)


def _memory_mapped(path: Path) -> Features:
    features: Features = np.load(path, mmap_mode="r")
    return features


def _read_ahead(
    items: Any, size: int, read: Callable[[Any], NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """Read each batch in a thread while the previous one is used."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(read, items[:size])
        for start in range(0, len(items), size):
            batch = following.result()
            if start + size < len(items):
                following = reader.submit(read, items[start + size : start + 2 * size])
            yield batch


class TrainingSet(NamedTuple):
    """The data of a training run."""

    examples: Sequence[Example]
    features: Features
    """[N, views, ...], of the examples."""
    pooled: Features | None
    """[N, views, channels], see `Inputs.pooled`."""
    texts: Sequence[str]
    """Captions without an image."""


class Batch(NamedTuple):
    """A batch of an epoch."""

    images: NDArray[np.int64]
    """[B], the indices of the images; -1, at the end, for captions without an image."""
    inputs: Inputs


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types.
    """An epoch's shuffled batches of (inputs, targets); see `start_epoch` and `CaptionLoss`."""

    def __init__(self, data: TrainingSet, vocabulary: Vocabulary, config: TrainingConfig) -> None:
        """Encode the captions."""
        super().__init__()
        self._data, self._config = data, config

        def encode(texts: Iterable[str]) -> NDArray[np.int32]:
            return np.array([vocabulary.encode(text, config.length) for text in texts], np.int32)

        self.tokens = [encode(example.captions) for example in data.examples]
        self._texts = encode(data.texts) if config.texts else np.zeros((0, config.length), np.int32)
        views = range(data.features.shape[1])
        zeros = np.zeros((len(data.examples), len(views), 1), np.float16)
        self._pooled = zeros if data.pooled is None else data.pooled
        upright = [view for view in views if not is_mirrored(view)]
        self._views = [upright if _names_a_side(example) else views for example in data.examples]
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order, the views and the captions of an epoch, deterministically.

        Keras's `on_epoch_end` does not receive the epoch, and is called more than once.
        """
        random = np.random.default_rng((self._config.seed, epoch))
        self._epoch = epoch
        self._order = random.permutation(len(self.tokens))
        self._view = np.array([random.choice(views) for views in self._views])
        # Texts are spread over the batches, in rows of as many captions as an image has.
        rows = min(self._config.texts, len(self._texts) // self._config.captions)
        chosen = random.permutation(len(self._texts))[: rows * self._config.captions]
        self._rows = np.array_split(
            self._texts[chosen].reshape(rows, self._config.captions, self._config.length), len(self)
        )

    def __len__(self) -> int:
        return math.ceil(len(self.tokens) / self._config.batch)

    def __getitem__(self, index: int) -> tuple[Inputs, NDArray[np.float32]]:
        inputs = self.batch(index).inputs
        return inputs, targets(inputs.tokens, np.ones(inputs.tokens.shape[:2], np.float32))

    def batch(self, index: int) -> Batch:
        """Return a batch's images with reference captions, then its texts."""
        size = self._config.batch
        chosen = np.sort(self._order[index * size : (index + 1) * size])
        # Keras may request a batch twice, and must get the same.
        random = np.random.default_rng((self._config.seed, self._epoch, 1 + index))
        rows = self._rows[index]
        tokens = [self._draw_captions(image, random) for image in chosen]
        inputs = Inputs(
            self._append_blanks(self._data.features[chosen, self._view[chosen]], len(rows)),
            np.concatenate([np.stack(tokens), rows]),
            self._append_blanks(self._pooled[chosen, self._view[chosen]], len(rows)),
        )
        return Batch(np.concatenate([chosen, np.full(len(rows), -1)]), inputs)

    def _append_blanks(self, features: Features, count: int) -> NDArray[np.float32]:
        """Append zero features for captions without an image."""
        blank = np.zeros((count, *features.shape[1:]), np.float32)
        return np.concatenate([features.astype(np.float32), blank])

    def _draw_captions(self, image: int, random: np.random.Generator) -> NDArray[np.int32]:
        """Draw captions of an image; if it has too few, the rest is padding, which has no loss."""
        tokens, count = self.tokens[image], self._config.captions
        drawn = tokens[random.permutation(len(tokens))[:count]]
        return np.pad(drawn, ((0, count - len(drawn)), (0, 0)), constant_values=PAD)


def targets(tokens: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Build the targets of `CaptionLoss`.

    Args:
        tokens: int32 [B, K, T].
        weights: float32 [B, K], one for each caption.

    Returns:
        float32 [B, K, T, 2]: the word, and its caption's weight over the number of all words.
    """
    words = tokens != PAD
    shares = weights[..., None] * words / words.sum()
    return np.stack([tokens.astype(np.float32), shares.astype(np.float32)], axis=-1)


def _names_a_side(example: Example) -> bool:
    return any({"left", "right"} & set(tokenize(text)) for text in example.captions)
