"""Training for CIDEr itself, by captions that the decoder draws.

Rennie et al., "Self-critical Sequence Training for Image Captioning" (CVPR 2017), with the mean
reward of a picture's other samples as the baseline: Luo, "A Better Variant of Self-Critical
Sequence Training" (arXiv:2003.09971, 2020). A share of the human captions' likelihood keeps the
language whole.
"""

import keras
import numpy as np
from keras import KerasTensor
from numpy.typing import NDArray

from models.batches import Batches, TrainingSet, targets
from models.cider import CiderD, trim
from models.learner import Inputs, Learner
from models.sampling import sample
from models.training_config import TrainingConfig
from models.vocabulary import Vocabulary


class _Sampler(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """Features to captions drawn at random, so that Keras compiles it."""

    def __init__(self, learner: Learner, config: TrainingConfig) -> None:
        super().__init__(name="sampler")
        self.learner = learner
        self._captions, self._length = config.captions, config.length
        self._seed = keras.random.SeedGenerator(config.seed)
        self.compile(jit_compile=False)

    def call(self, features: KerasTensor) -> KerasTensor:
        grid = self.learner.grid(features)
        return sample(self.learner.decoder, grid, self._captions, self._length, self._seed)


class SelfCriticalBatches(Batches):
    """Batches of captions drawn by the decoder as it is, weighted by how good they are."""

    def __init__(
        self, data: TrainingSet, vocabulary: Vocabulary, config: TrainingConfig, learner: Learner
    ) -> None:
        """Count the reference captions' n-grams."""
        super().__init__(data, vocabulary, config)
        self._cider = CiderD([[trim(caption) for caption in t] for t in self.tokens])
        self._sampler = _Sampler(learner, config)
        self._rewards: list[float] = []

    def __getitem__(self, index: int) -> tuple[Inputs, NDArray[np.float32]]:
        pictures, human = self.batch(index)
        count = int(np.sum(pictures >= 0))
        drawn = np.asarray(self._sampler.predict_on_batch(human.features[:count]), np.int32)
        rewards = self._cider.scores(pictures[:count].tolist(), drawn)
        self._rewards.append(float(rewards.mean()))
        # Texts have no picture to draw from, and weigh with the human captions alone.
        drawn = np.concatenate([drawn, human.tokens[count:]])
        advantages = np.zeros(drawn.shape[:2], np.float32)
        advantages[:count] = _advantages(rewards)
        if not self._config.human_share:
            return human._replace(tokens=drawn), targets(drawn, advantages)
        said = human.tokens[:, : self._config.human_captions]
        likelihood = np.full(said.shape[:2], self._config.human_share, np.float32)
        tokens = np.concatenate([drawn, said], axis=1)
        weights = np.concatenate([advantages, likelihood], axis=1)
        return human._replace(tokens=tokens), targets(tokens, weights)

    def take_reward(self) -> float:
        """Return the mean reward of the captions drawn since it was asked last."""
        mean = float(np.mean(self._rewards))
        self._rewards.clear()
        return mean


def _advantages(rewards: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much better each sample is than the mean of its picture's others: [B, K]."""
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
    return np.asarray(rewards - others, np.float32)
