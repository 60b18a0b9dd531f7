"""Attacks on captions, grids of attacked images, and the robustness of decoders.

An attack makes the captioner's own caption of an image improbable. Runs on TensorFlow, which
differentiates with respect to the pixels.
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
from models.consensus import Consensus
from models.consensus.search import CaptionSearch
from models.datasets import Dataset, Example
from models.graph import graph
from models.hardening.hardened_decoder import Robustness
from models.language import PAD, START, sentence
from models.metrics import score
from models.preprocessing import resize_to_square

_BATCH = 8
"""Images that are attacked together. More of them do not fit in a processor's caches."""

_CHUNK = 200
"""Images after which the results are saved."""

Captions = dict[str, str]
"""Captions by image name."""


class CaptionAttack:
    """Lowers the log-probability of captions by perturbing images: PGD in L-inf."""

    norm: Norm = "linf"

    def __init__(self, captioner: Captioner, decoder: Decoder | None = None) -> None:
        """Attack a captioner, or another decoder that reads the captioner's encoder."""
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
        """Attack images.

        Args:
            pixels: [B, S, S, 3] in 0..255.
            tokens: The captions, [B, T], padded.
            epsilon: One for all or [B], in grey levels.
            steps: Number of PGD steps.

        Returns:
            The perturbations, [B, S, S, 3].
        """
        length = int((tokens != PAD).sum(axis=1).max())
        captions = tf.constant(tokens[:, :length])

        def gradient(perturbed: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(self._compiled(tf.constant(perturbed), captions))

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
    memory = decoder.build_memory(grids)
    start = tf.fill(tf.shape(tokens[:, :1]), START)
    before = decoder.embedding(tf.concat([start, tokens[:, :-1]], axis=1))

    def unfinished(position: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return position < tf.shape(tokens)[1]

    def advance(position: tf.Tensor, total: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        embedded = before[:, position][:, None]
        readout, _, new_state = decoder.advance(embedded, State(*state), memory)
        log_probs = tf.nn.log_softmax(decoder.logits(readout)[:, 0])
        word_log_probs = tf.gather(log_probs, tokens[:, position], batch_dims=1)
        total += tf.reduce_sum(tf.where(tokens[:, position] != PAD, word_log_probs, 0.0))
        return position + 1, total, *new_state

    # A loop, not the unrolled teacher forcing: one graph for captions of all lengths.
    return tf.while_loop(
        unfinished, advance, (tf.constant(0), tf.constant(0.0), *decoder.initial_state(memory, 1))
    )[1]


class AttackStrength(NamedTuple):
    """The strength of the attacks on a set of images: L-inf, by PGD."""

    least: float
    """Least epsilon, in grey levels. Each image's is drawn from least to most, log-uniformly."""
    most: float
    steps: int


class AttackedGrids(NamedTuple):
    """The clean and attacked grids of N images."""

    clean: NDArray[np.float16]
    """[N, rows, columns, channels]"""
    attacked: NDArray[np.float16]
    """[N, rows, columns, channels]"""
    captions: NDArray[np.int32]
    """[N, T], the captioner's captions of the clean images, padded."""


class GridAttacker:
    """Attacks a captioner's images, and caches the grids of the results in files."""

    def __init__(
        self, captioner: Captioner, dataset: Dataset, beam: BeamConfig, strength: AttackStrength
    ) -> None:
        """Prepare to attack images of a dataset.

        Args:
            captioner: The captioner under attack.
            dataset: The dataset of the images.
            beam: The search that makes the captions.
            strength: The strength of the attacks.
        """
        self._side, self._dataset, self._strength = captioner.config.image_size, dataset, strength
        self._encoder = captioner.encoder
        self._encoder.compile(jit_compile=False)
        self._search = CaptionSearch(captioner.decoder, beam)
        self._attack = CaptionAttack(captioner)

    def attacked_grids(self, examples: Sequence[Example], folder: Path) -> AttackedGrids:
        """Attack the examples' images. Results that the folder already holds are reused.

        Args:
            examples: The examples to attack.
            folder: Holds the results, and must be used with the same arguments only.
        """
        folder.mkdir(parents=True, exist_ok=True)
        parts = []
        for start in tqdm(range(0, len(examples), _CHUNK), desc="attacked images", unit="part"):
            path = folder / f"{start:06}.npz"
            if not path.is_file():
                part = self._attack_chunk(examples[start : start + _CHUNK], seed=start)
                partial = path.with_suffix(".partial.npz")
                np.savez(partial, **part._asdict())
                partial.rename(path)
            with np.load(path) as arrays:
                parts.append(AttackedGrids(*(arrays[name] for name in AttackedGrids._fields)))
        return _join(parts)

    def _attack_chunk(self, examples: Sequence[Example], seed: int) -> AttackedGrids:
        random = np.random.default_rng(seed)
        return _join(
            [
                self._attack_batch(examples[start : start + _BATCH], random)
                for start in range(0, len(examples), _BATCH)
            ]
        )

    def _attack_batch(
        self, examples: Sequence[Example], random: np.random.Generator
    ) -> AttackedGrids:
        pixels = load_pixels(self._dataset, examples, self._side)
        clean = self._encoder.predict_on_batch(pixels)
        captions = self._search(clean).tokens
        least, most, steps = self._strength
        epsilons = np.exp(random.uniform(np.log(least), np.log(most), len(pixels)))
        perturbation = self._attack.perturb(pixels, captions, epsilons.astype(np.float32), steps)
        attacked = self._encoder.predict_on_batch(pixels + perturbation)
        return AttackedGrids(clean.astype(np.float16), attacked.astype(np.float16), captions)


def _join(parts: Sequence[AttackedGrids]) -> AttackedGrids:
    return AttackedGrids(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class RobustnessTest:
    """Compares the plain and the hardened decoder on clean and attacked images."""

    def __init__(
        self,
        captioner: Captioner,
        hardened: Decoder,
        beam: BeamConfig,
        dataset: Dataset,
        examples: Sequence[Example],
        consensus: Consensus | None,
    ) -> None:
        """Caption the clean images with both decoders."""
        self._captioner = captioner
        self._decoders = {"plain": captioner.decoder, "hardened": hardened}
        self._searches = {
            name: CaptionSearch(decoder, beam, consensus)
            for name, decoder in self._decoders.items()
        }
        self._attacks = {name: CaptionAttack(captioner, d) for name, d in self._decoders.items()}
        self._dataset, self._examples = dataset, examples
        self._references = {example.name: example.captions for example in examples}
        captioner.encoder.compile(jit_compile=False)
        self.clean = self._captions(None, 0.0, 0)
        """Captions of the clean images, by decoder name."""

    def cider(self, captions: Captions) -> float:
        """Return the CIDEr of captions against the reference captions."""
        return score(captions, self._references).cider

    def attack(self, against: str, epsilon: float, steps: int) -> Robustness:
        """Attack every image through one decoder, and caption the result with both."""
        attacked = self._captions(against, epsilon, steps)
        changed = {
            name: changed_share(self.clean[name], captions) for name, captions in attacked.items()
        }
        return Robustness(
            epsilon=epsilon,
            attacked=against,
            changed_plain=changed["plain"],
            changed_hardened=changed["hardened"],
            cider_plain=self.cider(attacked["plain"]),
            cider_hardened=self.cider(attacked["hardened"]),
        )

    def _captions(self, against: str | None, epsilon: float, steps: int) -> dict[str, Captions]:
        captions: dict[str, Captions] = {name: {} for name in self._decoders}
        title = f"epsilon {epsilon:g}, {against}" if against else "clean"
        for start in tqdm(range(0, len(self._examples), _BATCH), desc=title, unit="batch"):
            part = self._examples[start : start + _BATCH]
            pixels = load_pixels(self._dataset, part, self._captioner.config.image_size)
            if against:
                tokens = self._search(against, self._encode(pixels))
                pixels = pixels + self._attacks[against].perturb(pixels, tokens, epsilon, steps)
            grids = self._encode(pixels)
            for name in self._decoders:
                for example, ids in zip(part, self._search(name, grids), strict=True):
                    words = self._captioner.vocabulary.decode(ids.tolist())
                    captions[name][example.name] = sentence(words)
        return captions

    def _encode(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._captioner.encoder.predict_on_batch(pixels), np.float32)

    def _search(self, name: str, grids: NDArray[np.float32]) -> NDArray[np.int32]:
        return np.asarray(self._searches[name](grids).tokens)


def changed_share(before: Captions, after: Captions) -> float:
    """Return the share of captions that differ, in 0..1."""
    return float(np.mean([before[name] != after[name] for name in before]))


def load_pixels(dataset: Dataset, examples: Sequence[Example], side: int) -> NDArray[np.float32]:
    """Read images as the encoder takes them: [N, side, side, 3] in 0..255."""
    images = [resize_to_square(dataset.image(each.name), side) for each in examples]
    return np.stack(images).astype(np.float32)
