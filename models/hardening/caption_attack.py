"""Grids of pictures that were attacked so that the captioner would not say what it says of them.

Runs on TensorFlow, which differentiates to the pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from models.attacks import Norm, pgd
from models.captioner import BeamConfig, Captioner, Decoder, State
from models.datasets import Dataset, Example
from models.evaluation import Searcher
from models.graph import graph
from models.language import PAD, START
from models.preprocessing import squeeze

_BATCH = 8
"""Pictures that are attacked together: more of them do not fit a processor's caches."""


_CHUNK = 200
"""Pictures after which what is computed is kept."""


class Strength(NamedTuple):
    """How hard pictures are attacked: L-inf, by PGD."""

    least: float
    """Epsilon, in grey levels; each picture's is drawn between the two, on a logarithmic scale."""
    most: float
    steps: int


class AttackedGrids(NamedTuple):
    """N pictures and what an attack makes of them."""

    clean: NDArray[np.float16]
    """[N, rows, columns, channels]"""
    attacked: NDArray[np.float16]
    """Likewise."""
    captions: NDArray[np.int32]
    """[N, T], what the captioner says of the clean ones, padded."""


class CaptionAttack:
    """Attacks what a captioner says: lowers the log-probability of captions."""

    norm: Norm = "linf"

    def __init__(self, captioner: Captioner, decoder: Decoder | None = None) -> None:
        """Attack a captioner, or another decoder behind the captioner's encoder."""
        self._encoder, self._decoder = captioner.encoder, decoder or captioner.decoder
        self._compiled = graph(
            self._gradient,
            input_signature=[
                tf.TensorSpec((None, *captioner.encoder.input_shape[1:]), tf.float32),
                tf.TensorSpec((None, None), tf.int32),
            ],
        )

    def perturb(
        self,
        pixels: NDArray[np.float32],
        tokens: NDArray[np.int32],
        epsilon: float | NDArray[np.float32],
        steps: int,
    ) -> NDArray[np.float32]:
        """Attack by PGD.

        Args:
            pixels: [B, S, S, 3] in 0..255.
            tokens: The captions, [B, T], padded.
            epsilon: One for all, or [B]; in grey levels.
            steps: How many.

        Returns:
            The perturbations, [B, S, S, 3].
        """
        length = int((tokens != PAD).sum(axis=1).max())
        said = tf.constant(tokens[:, :length])

        def gradient(perturbed: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(self._compiled(tf.constant(perturbed), said))

        *_, last = pgd(gradient, pixels, epsilon, self.norm, steps)
        return last

    def _gradient(self, pixels: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            grid = self._encoder(pixels, training=False)
            z = -_log_prob(self._decoder, grid, tokens)
        return tape.gradient(z, pixels)


def _log_prob(decoder: Decoder, grids: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Sum the log-probabilities of captions of any length."""
    memory = decoder.remember(grids)
    start = tf.fill(tf.shape(tokens[:, :1]), START)
    before = decoder.embedding(tf.concat([start, tokens[:, :-1]], axis=1))

    def unfinished(place: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return place < tf.shape(tokens)[1]

    def advance(place: tf.Tensor, total: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        read, _, handed_on = decoder.advance(before[:, place][:, None], State(*state), memory)
        log_probs = tf.nn.log_softmax(decoder.logits(read)[:, 0])
        said = tf.gather(log_probs, tokens[:, place], batch_dims=1)
        total += tf.reduce_sum(tf.where(tokens[:, place] != PAD, said, 0.0))
        return place + 1, total, *handed_on

    # A loop, where teacher forcing unrolls its steps: one graph for captions of all lengths.
    return tf.while_loop(
        unfinished, advance, (tf.constant(0), tf.constant(0.0), *decoder.start(memory, 1))
    )[1]


def attacked_grids(
    captioner: Captioner,
    dataset: Dataset,
    examples: Sequence[Example],
    beam: BeamConfig,
    strength: Strength,
    folder: Path,
) -> AttackedGrids:
    """Attack the examples' pictures; what a folder holds already is not computed again.

    Args:
        captioner: Whose captions are attacked.
        dataset: Where the pictures are.
        examples: Which.
        beam: The search by which they are captioned.
        strength: Of the attacks.
        folder: Keeps what was computed; it belongs to these very arguments.
    """
    folder.mkdir(parents=True, exist_ok=True)
    attacker = _Attacker(captioner, dataset, beam, strength)
    parts = []
    for start in tqdm(range(0, len(examples), _CHUNK), desc="attacked pictures", unit="part"):
        path = folder / f"{start:06}.npz"
        if not path.is_file():
            made = attacker.attack(examples[start : start + _CHUNK], seed=start)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, **made._asdict())
            partial.rename(path)
        with np.load(path) as arrays:
            parts.append(AttackedGrids(*(arrays[name] for name in AttackedGrids._fields)))
    return AttackedGrids(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class _Attacker:
    """What the parts have in common: compiled once."""

    def __init__(
        self, captioner: Captioner, dataset: Dataset, beam: BeamConfig, strength: Strength
    ) -> None:
        self._side, self._dataset, self._strength = captioner.config.image_size, dataset, strength
        self._encoder = captioner.encoder
        self._encoder.compile(jit_compile=False)
        self._searcher = Searcher(captioner.decoder, beam)
        self._attack = CaptionAttack(captioner)

    def attack(self, examples: Sequence[Example], seed: int) -> AttackedGrids:
        random = np.random.default_rng(seed)
        made = [
            self._attack_batch(examples[start : start + _BATCH], random)
            for start in range(0, len(examples), _BATCH)
        ]
        return AttackedGrids(*(np.concatenate(parts) for parts in zip(*made, strict=True)))

    def _attack_batch(
        self, examples: Sequence[Example], random: np.random.Generator
    ) -> AttackedGrids:
        pixels = pictures(self._dataset, examples, self._side)
        clean = self._encoder.predict_on_batch(pixels)
        captions = np.asarray(self._searcher.predict_on_batch(clean), np.int32)
        least, most, steps = self._strength
        epsilons = np.exp(random.uniform(np.log(least), np.log(most), len(pixels)))
        perturbation = self._attack.perturb(pixels, captions, epsilons.astype(np.float32), steps)
        attacked = self._encoder.predict_on_batch(pixels + perturbation)
        return AttackedGrids(clean.astype(np.float16), attacked.astype(np.float16), captions)


def pictures(dataset: Dataset, examples: Sequence[Example], side: int) -> NDArray[np.float32]:
    """Read pictures as the encoder gets them: [N, side, side, 3] in 0..255."""
    return np.stack([squeeze(dataset.image(each.name), side) for each in examples]).astype(
        np.float32
    )
