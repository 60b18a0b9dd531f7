"""Batches of captioned pictures, from cached features."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from models.datasets import Example
from models.language import PAD, Vocabulary, tokenize
from models.preprocessing import is_mirrored
from models.training.config import TrainingConfig
from models.training.feature_cache import Features
from models.training.learner import Inputs


class TrainingSet(NamedTuple):
    """What is learned from."""

    examples: Sequence[Example]
    features: Features
    """[N, views, ...] of the examples."""
    pooled: Features | None
    """[N, views, channels], see `Inputs.pooled`."""
    texts: Sequence[str]
    """Captions without a picture."""


class Batch(NamedTuple):
    """A part of an epoch."""

    pictures: NDArray[np.int64]
    """[B], the pictures' positions; those without one, -1, come last."""
    inputs: Inputs


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types.
    """An epoch's shuffled batches of (inputs, targets); see `begin` and `CaptionLoss`."""

    def __init__(self, data: TrainingSet, vocabulary: Vocabulary, config: TrainingConfig) -> None:
        """Encode the captions."""
        super().__init__()
        self._data, self._config = data, config

        def encode(texts: Iterable[str]) -> NDArray[np.int32]:
            return np.array([vocabulary.encode(text, config.length) for text in texts], np.int32)

        self.tokens = [encode(example.captions) for example in data.examples]
        self._texts = encode(data.texts) if config.texts else np.zeros((0, config.length), np.int32)
        views = range(data.features.shape[1])
        unknown = np.zeros((len(data.examples), len(views), 1), np.float16)
        self._pooled = unknown if data.pooled is None else data.pooled
        upright = [view for view in views if not is_mirrored(view)]
        self._views = [upright if _names_a_side(example) else views for example in data.examples]
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Draw the order, the views and the captions of an epoch, the same whenever it is begun.

        Keras's own `on_epoch_end` does not tell the epoch, and is called more than once.
        """
        random = np.random.default_rng((self._config.seed, epoch))
        self._epoch = epoch
        self._order = random.permutation(len(self.tokens))
        self._view = np.array([random.choice(views) for views in self._views])
        # The texts are spread over the epoch's batches, as many captions a row as a picture has.
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
        """Return the pictures of a batch with captions that people wrote, and the texts."""
        size = self._config.batch
        chosen = np.sort(self._order[index * size : (index + 1) * size])
        # Keras may ask for a batch twice, and gets the same.
        random = np.random.default_rng((self._config.seed, self._epoch, 1 + index))
        rows = self._rows[index]
        tokens = [self._pick(picture, random) for picture in chosen]
        inputs = Inputs(
            self._with_blanks(self._data.features[chosen, self._view[chosen]], len(rows)),
            np.concatenate([np.stack(tokens), rows]),
            self._with_blanks(self._pooled[chosen, self._view[chosen]], len(rows)),
        )
        return Batch(np.concatenate([chosen, np.full(len(rows), -1)]), inputs)

    def _with_blanks(self, features: Features, blanks: int) -> NDArray[np.float32]:
        """Features of nothing at all stand for the pictures that the texts lack."""
        blank = np.zeros((blanks, *features.shape[1:]), np.float32)
        return np.concatenate([features.astype(np.float32), blank])

    def _pick(self, picture: int, random: np.random.Generator) -> NDArray[np.int32]:
        """As many captions as asked for: all, once, when that is how many there are."""
        tokens, wanted = self.tokens[picture], self._config.captions
        again = len(tokens) < wanted
        return tokens[random.choice(len(tokens), wanted, replace=again)]


def targets(tokens: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Say how much each word counts in the loss.

    Args:
        tokens: int32 [B, K, T].
        weights: float32 [B, K], one a caption.

    Returns:
        float32 [B, K, T, 2]: the word, and the weight of its caption over the number of all words.
    """
    words = tokens != PAD
    shares = weights[..., None] * words / words.sum()
    return np.stack([tokens.astype(np.float32), shares.astype(np.float32)], axis=-1)


def _names_a_side(example: Example) -> bool:
    return any({"left", "right"} & set(tokenize(text)) for text in example.captions)
