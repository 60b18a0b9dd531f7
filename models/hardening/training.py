"""How a decoder learns to stand up to attacks: to say of attacked grids what it says of clean ones.

The teacher's whole distribution over each next word is what is learnt (Hinton et al., "Distilling
the Knowledge in a Neural Network", 2015), along the caption that the teacher gave the clean
picture; of the clean grid it is learnt beside, so that nothing is forgotten (as TRADES weighs the
two: Zhang et al., ICML 2019).
"""

from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.captioner import Decoder
from models.hardening.attacked_grids import AttackedGrids
from models.language import PAD

_BATCH = 32


_BEYOND = 1.25
"""Attacked grids are drawn from the line between the clean one and somewhat beyond the attacked."""


class Hardening(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """What is trained: a decoder that listens to another."""

    def __init__(self, teacher: Decoder, student: Decoder) -> None:
        """Teach `student`; `teacher` stays as it is."""
        super().__init__(name="hardening")
        teacher.trainable = False
        self.teacher, self.student = teacher, student

    def call(
        self, inputs: tuple[KerasTensor, KerasTensor, KerasTensor], training: bool = False
    ) -> KerasTensor:
        """Nats a word between what is wanted and what is said, [B].

        Args:
            inputs: Clean and attacked grids [B, rows, columns, channels] and captions [B, T].
            training: Whether dropout is on.
        """
        clean, attacked, tokens = inputs
        words = tokens[:, None]
        wanted = ops.log_softmax(self.teacher((clean, words)))
        said = ops.cast(words != PAD, wanted.dtype)
        both = [
            _divergence(wanted, self.student((grid, words), training=training), said)
            for grid in (attacked, clean)
        ]
        return both[0] + both[1]


def _divergence(wanted: KerasTensor, logits: KerasTensor, said: KerasTensor) -> KerasTensor:
    """KL(wanted || said) a word: [B]."""
    nats = ops.sum(ops.exp(wanted) * (wanted - ops.log_softmax(logits)), axis=-1)
    return ops.sum(nats * said, axis=(1, 2)) / ops.sum(said, axis=(1, 2))


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types.
    """Shuffled batches, another draw of strengths each epoch; or all as they are."""

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
            self._shares = random.uniform(0, _BEYOND, count).astype(np.float32)

    def __len__(self) -> int:
        return -(-len(self._order) // _BATCH)

    def __getitem__(self, index: int) -> tuple[Any, NDArray[np.float32]]:
        chosen = np.sort(self._order[index * _BATCH : (index + 1) * _BATCH])
        clean, attacked = (
            part[chosen].astype(np.float32) for part in (self._grids.clean, self._grids.attacked)
        )
        moved = clean + self._shares[chosen, None, None, None] * (attacked - clean)
        return (clean, moved, self._grids.captions[chosen]), np.zeros(len(chosen), np.float32)


def harden(
    teacher: Decoder,
    student: Decoder,
    train: AttackedGrids,
    dev: AttackedGrids,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> list[dict[str, float]]:
    """Train the student, and leave it as it was best on `dev`.

    Returns:
        Loss and dev loss of each epoch, in nats a word: of attacked and clean grids together.
    """
    model = Hardening(teacher, student)
    batches = _Batches(train, seed)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        loss=lambda _, nats: ops.mean(nats),
        jit_compile=False,
    )
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
    told = zip(history.history["loss"], history.history["val_loss"], strict=True)
    return [{"loss": float(loss), "dev_loss": float(dev_loss)} for loss, dev_loss in told]
