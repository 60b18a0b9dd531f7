"""Training of a hardened decoder by distillation on attacked grids.

For attacked grids the student learns the teacher's whole distribution over each next word (Hinton
et al., "Distilling the Knowledge in a Neural Network", 2015), along the teacher's caption of the
clean image. It learns the same for the clean grid, so that nothing is forgotten; TRADES weighs the
two in the same way (Zhang et al., ICML 2019).
"""

from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.captioner import Decoder
from models.hardening.caption_attack import AttackedGrids
from models.language import PAD

_BATCH = 32

_MAX_SHARE = 1.25
"""Attacked grids are drawn from the line between the clean grid and a point beyond the attacked
one, at this multiple of the difference."""


def harden(
    teacher: Decoder,
    student: Decoder,
    train: AttackedGrids,
    dev: AttackedGrids,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> list[dict[str, float]]:
    """Train the student and keep the weights of its best epoch on `dev`.

    Returns:
        Loss and dev loss of each epoch, in nats a word: the sum over attacked and clean grids.
    """
    model = HardeningModel(teacher, student)
    batches = _Batches(train, seed)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        loss=lambda _, nats: ops.mean(nats),
        jit_compile=False,
    )
    # TensorFlow would trace a training step that creates the optimizer's variables twice.
    model.optimizer.build(student.trainable_variables)
    history = model.fit(
        batches,
        validation_data=_Batches(dev, None),
        epochs=epochs,
        verbose=2,
        callbacks=[
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=3, restore_best_weights=True, verbose=1
            )
        ],
    )
    losses = zip(history.history["loss"], history.history["val_loss"], strict=True)
    return [{"loss": float(loss), "dev_loss": float(dev_loss)} for loss, dev_loss in losses]


class HardeningModel(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """From grids and captions to the divergence of the student from the teacher."""

    def __init__(self, teacher: Decoder, student: Decoder) -> None:
        """Train `student`; `teacher` is not changed."""
        super().__init__(name="hardening")
        teacher.trainable = False
        self.teacher, self.student = teacher, student

    def call(
        self, inputs: tuple[KerasTensor, KerasTensor, KerasTensor], training: bool = False
    ) -> KerasTensor:
        """Return the divergence in nats a word, [B].

        Args:
            inputs: Clean and attacked grids [B, rows, columns, channels] and captions [B, T].
            training: Whether dropout is on.
        """
        clean, attacked, tokens = inputs
        words = tokens[:, None]
        expected = ops.log_softmax(self.teacher((clean, words)))
        is_word = ops.cast(words != PAD, expected.dtype)
        both = [
            _divergence(expected, self.student((grid, words), training=training), is_word)
            for grid in (attacked, clean)
        ]
        return both[0] + both[1]


def _divergence(expected: KerasTensor, logits: KerasTensor, is_word: KerasTensor) -> KerasTensor:
    """KL(expected || softmax(logits)) a word: [B]."""
    nats = ops.sum(ops.exp(expected) * (expected - ops.log_softmax(logits)), axis=-1)
    return ops.sum(nats * is_word, axis=(1, 2)) / ops.sum(is_word, axis=(1, 2))


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types.
    """Shuffled batches with new strengths each epoch, or, without a seed, all grids unchanged."""

    def __init__(self, grids: AttackedGrids, seed: int | None) -> None:
        super().__init__()
        self._grids, self._seed, self._epoch = grids, seed, -1
        self.on_epoch_begin()

    def on_epoch_begin(self) -> None:
        self._epoch += 1
        count = len(self._grids.captions)
        self._order, self._shares = np.arange(count), np.ones(count, np.float32)
        if self._seed is not None:
            random = np.random.default_rng((self._seed, self._epoch))
            self._order = random.permutation(count)
            self._shares = random.uniform(0, _MAX_SHARE, count).astype(np.float32)

    def __len__(self) -> int:
        return -(-len(self._order) // _BATCH)

    def __getitem__(self, index: int) -> tuple[Any, NDArray[np.float32]]:
        chosen = np.sort(self._order[index * _BATCH : (index + 1) * _BATCH])
        clean, attacked = (
            part[chosen].astype(np.float32) for part in (self._grids.clean, self._grids.attacked)
        )
        moved = clean + self._shares[chosen, None, None, None] * (attacked - clean)
        return (clean, moved, self._grids.captions[chosen]), np.zeros(len(chosen), np.float32)
