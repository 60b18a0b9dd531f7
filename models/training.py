"""The parts of training a decoder on cached grids: batches, loss, averaging, checkpoints."""

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.datasets import Example
from models.training_config import TrainingConfig
from models.vocabulary import PAD, Vocabulary, tokenize


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types.
    """An epoch's shuffled batches of ((grids, tokens), tokens); see `begin`."""

    def __init__(
        self,
        grids: NDArray[np.float16],
        mirrored: NDArray[np.float16] | None,
        examples: list[Example],
        vocabulary: Vocabulary,
        config: TrainingConfig,
    ) -> None:
        """Take grids [len(examples), ...] and, to be mixed in, those of the flipped pictures."""
        super().__init__()
        self._grids, self._mirrored, self._config = grids, mirrored, config
        self._tokens = [
            np.array([vocabulary.encode(text, config.length) for text in example.captions])
            for example in examples
        ]
        self._may_flip = np.array([not _names_a_side(example) for example in examples])
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Draw the order, the flips and the captions of an epoch, the same whenever it is begun.

        Keras's own `on_epoch_end` does not tell the epoch, and is called more than once.
        """
        random = np.random.default_rng((self._config.seed, epoch))
        self._epoch = epoch
        self._order = random.permutation(len(self._tokens))
        self._flip = self._may_flip & (random.random(len(self._tokens)) < 0.5)

    def __len__(self) -> int:
        return math.ceil(len(self._tokens) / self._config.batch)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        size = self._config.batch
        chosen = np.sort(self._order[index * size : (index + 1) * size])
        grids = self._grids[chosen]
        if self._mirrored is not None:
            flipped = self._flip[chosen]
            grids[flipped] = self._mirrored[chosen[flipped]]
        # Keras may ask for a batch twice, and gets the same.
        random = np.random.default_rng((self._config.seed, self._epoch, 1 + index))
        tokens = np.stack([self._pick(example, random) for example in chosen])
        return (grids.astype(np.float32), tokens), tokens

    def _pick(self, example: int, random: np.random.Generator) -> NDArray[np.int64]:
        """As many captions as asked for: all, once, when that is how many there are."""
        tokens, wanted = self._tokens[example], self._config.captions
        again = len(tokens) < wanted
        return tokens[random.choice(len(tokens), wanted, replace=again)]


def _names_a_side(example: Example) -> bool:
    return any({"left", "right"} & set(tokenize(text)) for text in example.captions)


class CaptionLoss(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy per word, padding left out, with label smoothing (Szegedy et al., 2016)."""

    def __init__(self, smoothing: float) -> None:
        """Move `smoothing` of each word's probability to all words alike."""
        super().__init__(name="caption_loss", reduction="none")
        self._smoothing = smoothing

    def call(self, tokens: KerasTensor, logits: KerasTensor) -> KerasTensor:
        """Nats per word: tokens [B, K, T], logits [B, K, T, V] to a scalar."""
        tokens = ops.cast(tokens, "int32")  # Keras hands the targets over as floats.
        log_probs = ops.log_softmax(logits)
        said = ops.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
        loss = -(1 - self._smoothing) * said - self._smoothing * ops.mean(log_probs, axis=-1)
        words = ops.cast(tokens != PAD, loss.dtype)
        return ops.sum(loss * words) / ops.sum(words)


class MovingAverage(keras.callbacks.Callback):  # type: ignore[misc]
    """An exponential moving average of the weights (Polyak and Juditsky, 1992)."""

    def __init__(self, momentum: float) -> None:
        """Keep `momentum` of the average at each batch."""
        super().__init__()
        self._momentum = momentum
        self.batches = 0
        """How many batches the average has taken in."""
        self.weights: list[NDArray[np.float32]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Take in the weights as they are now."""
        now = self.model.get_weights()
        if not self.weights:
            self.weights = now
        self.batches += 1
        # Early on, an average of few batches must not cling to the first.
        momentum = min(self._momentum, self.batches / (self.batches + 10))
        for mean, value in zip(self.weights, now, strict=True):
            mean += (1 - momentum) * (value - mean)


class Checkpoint:
    """Everything that a stopped run needs to go on: weights, average, optimizer, history."""

    def __init__(self, path: Path) -> None:
        """Keep the checkpoint in this `.npz` file, replaced whole."""
        self._path = path

    def save(
        self, model: keras.Model, average: MovingAverage, history: list[dict[str, float]]
    ) -> None:
        """Write the state at the end of an epoch."""
        arrays = {
            "weights": model.get_weights(),
            "average": average.weights,
            "optimizer": [ops.convert_to_numpy(v) for v in model.optimizer.variables],
        }
        flat = {f"{kind}/{i}": a for kind, group in arrays.items() for i, a in enumerate(group)}
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, history=json.dumps(history), batches=average.batches, **flat)
        partial.rename(self._path)

    def restore(self, model: keras.Model, average: MovingAverage) -> list[dict[str, float]]:
        """Put the state back where there is one; return the history, empty when there is none."""
        if not self._path.exists():
            return []
        with np.load(self._path, allow_pickle=False) as arrays:

            def group(kind: str) -> list[NDArray[Any]]:
                count = sum(name.startswith(f"{kind}/") for name in arrays.files)
                return [arrays[f"{kind}/{index}"] for index in range(count)]

            model.set_weights(group("weights"))
            average.weights = group("average")
            average.batches = int(arrays["batches"])
            model.optimizer.build(model.trainable_variables)
            for variable, value in zip(model.optimizer.variables, group("optimizer"), strict=True):
                variable.assign(value)
            history: list[dict[str, float]] = json.loads(str(arrays["history"]))
            return history
