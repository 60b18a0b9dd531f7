"""Training of a student by distillation on attacked or noisy images.

For perturbed images the student learns the teacher's whole distribution over each next word (Hinton
et al., "Distilling the Knowledge in a Neural Network", 2015), along the teacher's caption of the
clean image. It learns the same for the clean image, so that nothing is forgotten; TRADES weighs the
two in the same way (Zhang et al., ICML 2019).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.captioner import Captioner
from models.hardening.features import PerturbedFeatures
from models.hardening.student import Student, split_encoder
from models.language import PAD

_BATCH = 32

_PATIENCE = 3
"""Epochs without a smaller loss after which training ends."""

_MAX_SHARE = 1.25
"""Features are drawn from the line between those of the clean image and a point beyond those of the
perturbed one, at this multiple of the difference."""

Perturbation = Literal["attacked", "noisy"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long a student is trained, and how."""

    epochs: int
    """The learning rate falls to zero over these."""
    learning_rate: float
    seed: int


def train_student(
    captioner: Captioner,
    student: Student,
    perturbation: Perturbation,
    train: PerturbedFeatures,
    dev: PerturbedFeatures,
    schedule: Schedule,
    folder: Path,
    stop_after: int | None = None,
) -> int:
    """Train a student, or go on where an earlier call stopped.

    Args:
        captioner: The teacher; it is not changed.
        student: Gets the weights of the best epoch on `dev`, or of epoch `stop_after`.
        perturbation: Which perturbed images it learns from.
        train: Features of the training images.
        dev: Features of images that choose the best epoch.
        schedule: How long and how.
        folder: Keeps the state after each epoch (state.npz), and the loss and dev loss of each in
            nats a word, the sum over perturbed and clean images (history.json).
        stop_after: Epochs to train exactly, whatever the loss on `dev`.

    Returns:
        The epochs that the student's weights were trained for, from 1.
    """
    keras.utils.set_random_seed(schedule.seed)
    model = HardeningModel(captioner, student)
    batches = _Batches(train, perturbation, schedule.seed)
    steps = schedule.epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(schedule.learning_rate, steps)
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0),
        loss=lambda _, nats: ops.mean(nats),
        jit_compile=False,
    )
    # TensorFlow would trace a training step that creates the optimizer's variables twice.
    model.optimizer.build(model.trainable_variables)
    state = _State(folder, student, model.optimizer)
    while not state.is_done(stop_after or schedule.epochs, stop_after is not None):
        epoch = len(state.history)
        batches.epoch = epoch
        found = model.fit(
            batches,
            validation_data=_Batches(dev, perturbation, None),
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=2,
        )
        state.add(found.history["loss"][0], found.history["val_loss"][0])
    return state.finish(stop_after)


class _State:
    """What an interrupted training needs to go on, kept in a folder."""

    def __init__(self, folder: Path, student: Student, optimizer: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._student = folder / "state.npz", student
        self._variables = [*student.variables, *optimizer.variables]
        self._report = folder / "history.json"
        self.history: list[dict[str, float]] = []
        self._best: list[NDArray[np.float32]] = []
        if self._file.is_file():
            with np.load(self._file) as arrays:
                self.history = json.loads(str(arrays["history"]))
                for index, variable in enumerate(self._variables):
                    variable.assign(arrays[f"now/{index}"])
                self._best = [arrays[f"best/{i}"] for i in range(len(student.weights))]

    @property
    def _best_epoch(self) -> int:
        """From 0."""
        return int(np.argmin([each["dev_loss"] for each in self.history]))

    def is_done(self, epochs: int, exactly: bool) -> bool:
        trained = len(self.history)
        waited = trained - self._best_epoch - 1 if trained else 0
        return trained >= epochs or (not exactly and waited >= _PATIENCE)

    def add(self, loss: float, dev_loss: float) -> None:
        self.history.append({"loss": loss, "dev_loss": dev_loss})
        if self._best_epoch == len(self.history) - 1:
            self._best = self._student.get_weights()
        arrays = {f"now/{i}": np.asarray(each) for i, each in enumerate(self._variables)}
        arrays |= {f"best/{i}": each for i, each in enumerate(self._best)}
        partial = self._file.with_suffix(".partial.npz")
        kept: dict[str, Any] = {"history": json.dumps(self.history), **arrays}
        np.savez(partial, **kept)
        partial.rename(self._file)
        self._report.write_text(json.dumps(self.history, indent=2) + "\n")

    def finish(self, stop_after: int | None) -> int:
        if stop_after:
            return stop_after
        self._student.set_weights(self._best)
        return self._best_epoch + 1


class HardeningModel(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """From features and captions to the divergence of the student from the teacher."""

    def __init__(self, captioner: Captioner, student: Student) -> None:
        """Train the student; the captioner is not changed."""
        super().__init__(name="hardening")
        _, self.teacher_tail = split_encoder(captioner.encoder, student.blocks)
        self.teacher, self.student = captioner.decoder, student.decoder
        self.tail = student.tail if student.blocks else None
        self.teacher.trainable = self.teacher_tail.trainable = False

    def call(
        self, inputs: tuple[KerasTensor, KerasTensor, KerasTensor], training: bool = False
    ) -> KerasTensor:
        """Return the divergence in nats a word, [B].

        Args:
            inputs: Features of clean and perturbed images [B, ...] and captions [B, T].
            training: Whether dropout is on.
        """
        clean, perturbed, tokens = inputs
        words = tokens[:, None]
        grid = self.teacher_tail(clean, training=False)
        expected = ops.log_softmax(self.teacher((grid, words)))
        is_word = ops.cast(words != PAD, expected.dtype)
        # Without dropout's training mode in the encoder, whose normalisation keeps its statistics.
        tail = self.tail or self.teacher_tail
        grids = tail(perturbed, training=False), tail(clean, training=False) if self.tail else grid
        both = [
            _divergence(expected, self.student((each, words), training=training), is_word)
            for each in grids
        ]
        return both[0] + both[1]


def _divergence(expected: KerasTensor, logits: KerasTensor, is_word: KerasTensor) -> KerasTensor:
    """KL(expected || softmax(logits)) a word: [B]."""
    nats = ops.sum(ops.exp(expected) * (expected - ops.log_softmax(logits)), axis=-1)
    return ops.sum(nats * is_word, axis=(1, 2)) / ops.sum(is_word, axis=(1, 2))


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types.
    """Shuffled batches with new strengths each epoch, or, without a seed, all images unchanged."""

    def __init__(
        self, features: PerturbedFeatures, perturbation: Perturbation, seed: int | None
    ) -> None:
        super().__init__()
        self._clean, self._captions = features.clean, features.captions
        self._perturbed = getattr(features, perturbation)
        self._seed = seed
        self.epoch = 0

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch
        count = len(self._captions)
        self._order, self._shares = np.arange(count), np.ones(count, np.float32)
        if self._seed is not None:
            random = np.random.default_rng((self._seed, epoch))
            self._order = random.permutation(count)
            self._shares = random.uniform(0, _MAX_SHARE, count).astype(np.float32)

    def __len__(self) -> int:
        return -(-len(self._order) // _BATCH)

    def __getitem__(self, index: int) -> tuple[Any, NDArray[np.float32]]:
        chosen = np.sort(self._order[index * _BATCH : (index + 1) * _BATCH])
        clean, perturbed = (
            part[chosen].astype(np.float32) for part in (self._clean, self._perturbed)
        )
        moved = clean + self._shares[chosen, None, None, None] * (perturbed - clean)
        return (clean, moved, self._captions[chosen]), np.zeros(len(chosen), np.float32)
