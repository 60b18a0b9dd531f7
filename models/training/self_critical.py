"""CIDEr-D of single captions, as a reward to train for.

Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation" (CVPR 2015): the variant D
of `pycocoevalcap`, with the document frequencies of the training captions. Works on token ids, the
end among them, so that a caption which breaks off has no reward for the end that it lacks.

Training for CIDEr itself, by captions that the decoder draws.

Rennie et al., "Self-critical Sequence Training for Image Captioning" (CVPR 2017), with the mean
reward of a picture's other samples as the baseline: Luo, "A Better Variant of Self-Critical
Sequence Training" (arXiv:2003.09971, 2020). A share of the human captions' likelihood keeps the
language whole.

Captions drawn at random from the decoder, word by word.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.captioner import Decoder, State
from models.language import END, PAD, START, UNKNOWN, Vocabulary
from models.training.batches import Batches, TrainingSet, targets
from models.training.config import TrainingConfig
from models.training.learner import Inputs, Learner

_ORDERS = 4

_SIGMA = 6.0

_SCALE = 10.0

_Ngram = tuple[int, ...]

_IMPOSSIBLE = -1e9


class _Vector(NamedTuple):
    """A caption's n-grams weighted by term frequency and inverse document frequency."""

    weights: list[dict[_Ngram, float]]
    norms: list[float]
    length: int


class CiderD:
    """Scores captions against those that people wrote of the same picture."""

    def __init__(self, references: Sequence[Iterable[Sequence[int]]]) -> None:
        """Take each picture's reference captions as token ids (the end included, padding not).

        The document frequency of an n-gram is the number of pictures with it in a reference.
        """
        counted = [[_count(trim(caption)) for caption in captions] for captions in references]
        frequency = Counter(
            ngram for captions in counted for ngram in {g for caption in captions for g in caption}
        )
        documents = math.log(max(len(counted), 2))
        self._rarest = documents
        self._rarity = {ngram: documents - math.log(count) for ngram, count in frequency.items()}
        self._references = [[self._weigh(caption) for caption in captions] for captions in counted]

    def score(self, picture: int, caption: Sequence[int]) -> float:
        """Score one caption of the picture at that position of the references, in 0..10.

        Args:
            picture: The picture's position.
            caption: Token ids; what follows the end is left out.
        """
        said = self._weigh(_count(trim(caption)))
        references = self._references[picture]
        return _SCALE * float(np.mean([_similarity(said, other) for other in references]))

    def scores(self, pictures: Sequence[int], captions: NDArray[np.int32]) -> NDArray[np.float32]:
        """Score captions [B, K, T] of B pictures; float32 [B, K]."""
        return np.array(
            [
                [self.score(picture, caption) for caption in said]
                for picture, said in zip(pictures, captions.tolist(), strict=True)
            ],
            np.float32,
        )

    def _weigh(self, counts: Counter[_Ngram]) -> _Vector:
        weights: list[dict[_Ngram, float]] = [{} for _ in range(_ORDERS)]
        for ngram, count in counts.items():
            weights[len(ngram) - 1][ngram] = count * self._rarity.get(ngram, self._rarest)
        norms = [math.sqrt(sum(w * w for w in order.values())) for order in weights]
        length = sum(count for ngram, count in counts.items() if len(ngram) == 2)
        return _Vector(weights, norms, length)


def trim(caption: Sequence[int]) -> list[int]:
    """Leave out what follows the end, and padding."""
    kept = []
    for token in caption:
        if token == PAD:
            break
        kept.append(int(token))
        if token == END:
            break
    return kept


def _count(caption: Sequence[int]) -> Counter[_Ngram]:
    return Counter(
        tuple(caption[start : start + order])
        for order in range(1, _ORDERS + 1)
        for start in range(len(caption) - order + 1)
    )


def _similarity(said: _Vector, reference: _Vector) -> float:
    """The mean over the orders of clipped cosines, less for another length."""
    total = 0.0
    for order in range(_ORDERS):
        norm = said.norms[order] * reference.norms[order]
        if norm:
            others = reference.weights[order]
            shared = sum(
                min(weight, others[ngram]) * others[ngram]
                for ngram, weight in said.weights[order].items()
                if ngram in others
            )
            total += shared / norm
    gap = said.length - reference.length
    return total / _ORDERS * math.exp(-(gap**2) / (2 * _SIGMA**2))


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


def sample(
    decoder: Decoder,
    grid: KerasTensor,
    captions: int,
    length: int,
    seed: keras.random.SeedGenerator,
) -> KerasTensor:
    """Draw captions of each grid from p(word | picture, words before).

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        captions: How many of each.
        length: Words of a caption at most, its end included.
        seed: Where chance comes from.

    Returns:
        int32 [B, captions, length]: the words, their end, then padding. Of the special words only
        the end is drawn.
    """
    memory = decoder.remember(grid)
    batch = ops.shape(grid)[0]
    silent = ops.sum(
        ops.one_hot(ops.array([PAD, START, UNKNOWN]), decoder.config.vocabulary_size), axis=0
    )
    start = (
        ops.convert_to_tensor(0),
        ops.full((batch, captions), START, "int32"),
        ops.zeros((batch, captions), "bool"),
        decoder.start(memory, captions),
        ops.full((batch, captions, length), PAD, "int32"),
    )

    def unfinished(position: Any, tokens: Any, done: Any, *_: Any) -> Any:
        return ops.logical_not(ops.all(done))

    def extend(position: Any, tokens: Any, done: Any, state: Any, said: Any) -> tuple[Any, ...]:
        step = decoder.step(tokens, state, memory)
        logits = ops.cast(step.logits, "float32") + silent * _IMPOSSIBLE
        flat = ops.reshape(logits, (-1, logits.shape[-1]))
        drawn = ops.reshape(keras.random.categorical(flat, 1, seed=seed), (batch, captions))
        tokens = ops.where(done, PAD, ops.cast(drawn, "int32"))
        said = ops.where(ops.arange(length) == position, tokens[..., None], said)
        done = ops.logical_or(done, tokens == END)
        state = State(*(ops.cast(part, "float32") for part in step.state))
        return position + 1, tokens, done, state, said

    *_, said = ops.while_loop(unfinished, extend, start, maximum_iterations=length)
    return said
