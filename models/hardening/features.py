"""Features of clean, attacked and noisy images, cached in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from models.attacks import noise
from models.captioner import BeamConfig, Captioner
from models.consensus.search import CaptionSearch
from models.datasets import Dataset, Example
from models.graph import graph
from models.hardening.caption_attack import CaptionAttack
from models.hardening.student import split_encoder
from models.preprocessing import resize_to_square

BATCH = 8
"""Images that are attacked together. More of them do not fit in a processor's caches."""

_CHUNK = 200
"""Images after which the results are saved."""


class AttackStrength(NamedTuple):
    """The strength of the attacks on a set of images: L-inf, by PGD."""

    least: float
    """Least epsilon, in grey levels. Each image's is drawn from least to most, log-uniformly."""
    most: float
    steps: int


class PerturbedFeatures(NamedTuple):
    """Features of N images before the encoder's last blocks, see `split_encoder`: [N, ...]."""

    clean: NDArray[np.float16]
    attacked: NDArray[np.float16]
    noisy: NDArray[np.float16]
    """With random noise of the attack's size."""
    captions: NDArray[np.int32]
    """[N, T], the captioner's captions of the clean images, padded."""


class FeatureCache:
    """Attacks a captioner's images, and caches the features of the results in files."""

    def __init__(
        self,
        captioner: Captioner,
        dataset: Dataset,
        beam: BeamConfig,
        strength: AttackStrength,
        blocks: int = 0,
    ) -> None:
        """Prepare to attack images of a dataset.

        Args:
            captioner: The captioner under attack.
            dataset: The dataset of the images.
            beam: The search that makes the captions.
            strength: The strength of the attacks.
            blocks: The encoder's last blocks that features are before, see `split_encoder`.
        """
        self._side, self._dataset, self._strength = captioner.config.image_size, dataset, strength
        self._head, self._tail = map(Forward, split_encoder(captioner.encoder, blocks))
        self._search = CaptionSearch(captioner.decoder, beam)
        self._attack = CaptionAttack(captioner.encoder, captioner.decoder)

    def features(self, examples: Sequence[Example], folder: Path) -> PerturbedFeatures:
        """Attack the examples' images. Results that the folder already holds are reused.

        Args:
            examples: The examples to attack.
            folder: Holds the results, and must be used with the same arguments only.
        """
        folder.mkdir(parents=True, exist_ok=True)
        parts = []
        for start in tqdm(range(0, len(examples), _CHUNK), desc="attacked images", unit="part"):
            chunk = examples[start : start + _CHUNK]
            # With its length, since another run may ask for more images.
            path = folder / f"{start:06}-{len(chunk)}.npz"
            if not path.is_file():
                part = self._attack_chunk(chunk, seed=start)
                partial = path.with_suffix(".partial.npz")
                np.savez(partial, **part._asdict())
                partial.rename(path)
            with np.load(path) as arrays:
                parts.append(PerturbedFeatures(*(arrays[n] for n in PerturbedFeatures._fields)))
        return _join(parts)

    def _attack_chunk(self, examples: Sequence[Example], seed: int) -> PerturbedFeatures:
        random = np.random.default_rng(seed)
        return _join(
            [
                self._attack_batch(examples[start : start + BATCH], random)
                for start in range(0, len(examples), BATCH)
            ]
        )

    def _attack_batch(
        self, examples: Sequence[Example], random: np.random.Generator
    ) -> PerturbedFeatures:
        pixels = load_pixels(self._dataset, examples, self._side)
        features = self._head(pixels)
        captions = self._search(self._tail(features)).tokens
        least, most, steps = self._strength
        drawn = np.exp(random.uniform(np.log(least), np.log(most), len(pixels)))
        epsilons = drawn.astype(np.float32)
        attack = self._attack.perturb(pixels, captions, epsilons, steps)
        random_signs = noise(random, pixels, epsilons, "linf")
        perturbed = [self._head(pixels + change) for change in (attack, random_signs)]
        clean, attacked, noisy = (part.astype(np.float16) for part in (features, *perturbed))
        return PerturbedFeatures(clean, attacked, noisy, captions)


class Forward:
    """A network as a function of arrays, compiled."""

    def __init__(self, network: keras.Model) -> None:
        """Compile at the first call; later changes of the weights take effect."""
        spec = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)
        self._function = graph(lambda inputs: network(inputs, training=False), [spec])

    def __call__(self, inputs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Run the network on a batch."""
        return np.asarray(self._function(np.asarray(inputs, np.float32)))


def _join(parts: Sequence[PerturbedFeatures]) -> PerturbedFeatures:
    return PerturbedFeatures(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def load_pixels(dataset: Dataset, examples: Sequence[Example], side: int) -> NDArray[np.float32]:
    """Read images as the encoder takes them: [N, side, side, 3] in 0..255."""
    images = [resize_to_square(dataset.image(each.name), side) for each in examples]
    return np.stack(images).astype(np.float32)
