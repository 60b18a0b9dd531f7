"""Self-critical training: CIDEr-D as a reward for sampled captions.

Rennie et al., "Self-critical Sequence Training for Image Captioning" (CVPR 2017). The baseline is
the mean reward of an image's other samples: Luo, "A Better Variant of Self-Critical Sequence
Training" (arXiv:2003.09971, 2020). A small weight on the likelihood of reference captions preserves
the language.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.captioner import Decoder, State, forbidden_token_bias
from models.language import END, PAD, START, Vocabulary
from models.training.config import TrainingConfig
from models.training.data import Batches, TrainingSet, targets
from models.training.model import Inputs, TrainingModel

_MAX_N = 4
"""CIDEr-D uses n-grams of 1 to 4 words."""

_SIGMA = 6.0
"""Standard deviation of CIDEr-D's length penalty, in words."""

_SCALE = 10.0

_Ngram = tuple[int, ...]


class SelfCriticalBatches(Batches):
    """Batches of captions sampled from the current decoder, weighted by their advantage."""

    def __init__(
        self,
        data: TrainingSet,
        vocabulary: Vocabulary,
        config: TrainingConfig,
        model: TrainingModel,
    ) -> None:
        """Count the n-grams of the reference captions."""
        super().__init__(data, vocabulary, config)
        self._cider = CiderD([[trim(caption) for caption in t] for t in self.tokens])
        self._sampler = _Sampler(model, config)
        self._rewards: list[float] = []

    def __getitem__(self, index: int) -> tuple[Inputs, NDArray[np.float32]]:
        images, human = self.batch(index)
        count = int(np.sum(images >= 0))
        sampled = np.asarray(self._sampler.predict_on_batch(human.features[:count]), np.int32)
        rewards = self._cider.scores(images[:count].tolist(), sampled)
        self._rewards.append(float(rewards.mean()))
        # Texts have no image to sample captions of, so they count as reference captions only.
        sampled = np.concatenate([sampled, human.tokens[count:]])
        advantages = np.zeros(sampled.shape[:2], np.float32)
        advantages[:count] = _advantages(rewards)
        if not self._config.human_share:
            return human._replace(tokens=sampled), targets(sampled, advantages)
        references = human.tokens[:, : self._config.human_captions]
        likelihood = np.full(references.shape[:2], self._config.human_share, np.float32)
        tokens = np.concatenate([sampled, references], axis=1)
        weights = np.concatenate([advantages, likelihood], axis=1)
        return human._replace(tokens=tokens), targets(tokens, weights)

    def take_reward(self) -> float:
        """Return the mean reward of the captions sampled since the last call."""
        mean = float(np.mean(self._rewards))
        self._rewards.clear()
        return mean


def _advantages(rewards: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each sample's reward minus the mean of its image's other samples: [B, K]."""
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
    return np.asarray(rewards - others, np.float32)


class _Sampler(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """Sampling as a compiled Keras model from features to captions."""

    def __init__(self, model: TrainingModel, config: TrainingConfig) -> None:
        super().__init__(name="sampler")
        self.model = model
        self._captions, self._length = config.captions, config.length
        self._seed = keras.random.SeedGenerator(config.seed)
        self.compile(jit_compile=False)

    def call(self, features: KerasTensor) -> KerasTensor:
        grid = self.model.grid(features)
        return sample(self.model.decoder, grid, self._captions, self._length, self._seed)


def sample(
    decoder: Decoder,
    grid: KerasTensor,
    captions: int,
    length: int,
    seed: keras.random.SeedGenerator,
) -> KerasTensor:
    """Sample captions of each grid from p(word | image, previous words).

    Args:
        decoder: The decoder; dropout is off.
        grid: float32 [B, rows, columns, channels].
        captions: Number of captions of each grid.
        length: Maximum number of words in a caption, the end token included.
        seed: Generator of random seeds.

    Returns:
        int32 [B, captions, length]: the words, the end token, then padding. Of the special tokens
        only the end token is sampled.
    """
    memory = decoder.build_memory(grid)
    batch = ops.shape(grid)[0]
    bias = forbidden_token_bias(decoder.config.vocabulary_size)
    start = (
        ops.convert_to_tensor(0),
        ops.full((batch, captions), START, "int32"),
        ops.zeros((batch, captions), "bool"),
        decoder.initial_state(memory, captions),
        ops.full((batch, captions, length), PAD, "int32"),
    )

    def unfinished(position: Any, tokens: Any, done: Any, *_: Any) -> Any:
        return ops.logical_not(ops.all(done))

    def extend(position: Any, tokens: Any, done: Any, state: Any, words: Any) -> tuple[Any, ...]:
        step = decoder.step(tokens, state, memory)
        logits = ops.cast(step.logits, "float32") + bias
        flat = ops.reshape(logits, (-1, logits.shape[-1]))
        drawn = ops.reshape(keras.random.categorical(flat, 1, seed=seed), (batch, captions))
        tokens = ops.where(done, PAD, ops.cast(drawn, "int32"))
        words = ops.where(ops.arange(length) == position, tokens[..., None], words)
        done = ops.logical_or(done, tokens == END)
        state = State(*(ops.cast(part, "float32") for part in step.state))
        return position + 1, tokens, done, state, words

    *_, words = ops.while_loop(unfinished, extend, start, maximum_iterations=length)
    return words


class CiderD:
    """CIDEr-D of single captions.

    Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation" (CVPR 2015): the variant
    D of `pycocoevalcap`, with the document frequencies of the training captions. Works on token
    ids, the end token included, so that a truncated caption is not rewarded for an end that it does
    not have.
    """

    def __init__(self, references: Sequence[Iterable[Sequence[int]]]) -> None:
        """Take each image's reference captions as token ids, with the end but without padding.

        The document frequency of an n-gram is the number of images with it in a reference.
        """
        counted = [[_count(trim(caption)) for caption in captions] for captions in references]
        frequency = Counter(
            ngram for captions in counted for ngram in {g for caption in captions for g in caption}
        )
        documents = math.log(max(len(counted), 2))
        self._highest_idf = documents
        self._idf = {ngram: documents - math.log(count) for ngram, count in frequency.items()}
        self._references = [[self._weigh(caption) for caption in captions] for captions in counted]

    def score(self, image: int, caption: Sequence[int]) -> float:
        """Score one caption of an image, in 0..10.

        Args:
            image: The index of the image in the references.
            caption: Token ids. Tokens after the end are ignored.
        """
        candidate = self._weigh(_count(trim(caption)))
        references = self._references[image]
        return _SCALE * float(np.mean([_similarity(candidate, other) for other in references]))

    def scores(self, images: Sequence[int], captions: NDArray[np.int32]) -> NDArray[np.float32]:
        """Score captions [B, K, T] of B images; float32 [B, K]."""
        return np.array(
            [
                [self.score(image, caption) for caption in samples]
                for image, samples in zip(images, captions.tolist(), strict=True)
            ],
            np.float32,
        )

    def _weigh(self, counts: Counter[_Ngram]) -> "_Vector":
        weights: list[dict[_Ngram, float]] = [{} for _ in range(_MAX_N)]
        for ngram, count in counts.items():
            weights[len(ngram) - 1][ngram] = count * self._idf.get(ngram, self._highest_idf)
        norms = [math.sqrt(sum(w * w for w in order.values())) for order in weights]
        length = sum(count for ngram, count in counts.items() if len(ngram) == 2)
        return _Vector(weights, norms, length)


class _Vector(NamedTuple):
    """TF-IDF weights of a caption's n-grams, by n."""

    weights: list[dict[_Ngram, float]]
    norms: list[float]
    length: int
    """Number of bigrams, as in `pycocoevalcap`."""


def trim(caption: Sequence[int]) -> list[int]:
    """Remove padding and tokens after the end token."""
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
        for order in range(1, _MAX_N + 1)
        for start in range(len(caption) - order + 1)
    )


def _similarity(candidate: _Vector, reference: _Vector) -> float:
    """Mean clipped cosine similarity over n, times a penalty for a different length."""
    total = 0.0
    for order in range(_MAX_N):
        norm = candidate.norms[order] * reference.norms[order]
        if norm:
            others = reference.weights[order]
            shared = sum(
                min(weight, others[ngram]) * others[ngram]
                for ngram, weight in candidate.weights[order].items()
                if ngram in others
            )
            total += shared / norm
    gap = candidate.length - reference.length
    return total / _MAX_N * math.exp(-(gap**2) / (2 * _SIGMA**2))
