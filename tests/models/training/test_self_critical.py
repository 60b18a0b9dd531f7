"""Tests of self-critical training: batches, sampling, and CIDEr-D against pycocoevalcap."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider

from models.datasets import Example
from models.language import END, PAD, START, UNKNOWN, Vocabulary
from models.training.config import TrainingConfig
from models.training.data import TrainingSet
from models.training.model import CaptionLoss, TrainingModel, TwoRateAdamW
from models.training.self_critical import CiderD, SelfCriticalBatches, sample, trim
from tests.models.conftest import WORDS, MakeDecoder, random_grids

Captions = list[list[int]]

CAPTIONS = ("a dog runs", "a red ball on grass", "grass", "a dog's red ball")
CONFIG = TrainingConfig(
    name="small", batch=4, captions=6, length=6, objective="self-critical", label_smoothing=0.0
)


def make_batches(model: TrainingModel, config: TrainingConfig = CONFIG) -> SelfCriticalBatches:
    examples = [Example(f"{i}.jpg", "train", (text,)) for i, text in enumerate(CAPTIONS)]
    grids = random_grids(4).astype(np.float16)[:, None]
    texts = ("a red dog",) * 12
    return SelfCriticalBatches(
        TrainingSet(examples, grids, None, texts), Vocabulary(WORDS), config, model
    )


def test_sampled_captions_are_weighted_by_their_advantage(
    make_decoder: MakeDecoder,
) -> None:
    batches = make_batches(TrainingModel(make_decoder()))

    inputs, targets = batches[0]

    assert inputs.tokens.shape == (4, 6, 6)
    vocabulary = Vocabulary(WORDS)
    cider = CiderD([[trim(vocabulary.encode(text, 6))] for text in CAPTIONS])
    # The features identify the image of each row.
    grids = random_grids(4).astype(np.float16).astype(np.float32)
    images = [int(np.abs(grids - row).sum((1, 2, 3)).argmin()) for row in inputs.features]
    rewards = cider.scores(images, inputs.tokens)
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / 5
    words = inputs.tokens != PAD
    expected = (rewards - others)[..., None] * words / words.sum()
    np.testing.assert_allclose(targets[..., 1], expected, atol=1e-6)
    assert np.abs(expected).max() > 0
    assert batches.take_reward() == pytest.approx(rewards.mean(), rel=1e-5)


def test_reference_captions_and_texts_have_their_own_weights(make_decoder: MakeDecoder) -> None:
    config = replace(CONFIG, human_share=0.25, human_captions=2, texts=1)

    inputs, targets = make_batches(TrainingModel(make_decoder()), config)[0]

    assert inputs.tokens.shape == (5, 8, 6)
    words = inputs.tokens != PAD
    likelihood = targets[:, 6:, :, 1]
    np.testing.assert_allclose(likelihood, 0.25 * words[:, 6:] / words.sum(), rtol=1e-5)
    assert (targets[4, :6, :, 1] == 0).all(), "nothing is sampled without an image"


def test_training_raises_the_reward(make_decoder: MakeDecoder) -> None:
    model = TrainingModel(make_decoder())
    model.compile(TwoRateAdamW([], 1.0, learning_rate=0.003), CaptionLoss(0.0), jit_compile=False)
    batches = make_batches(model, replace(CONFIG, captions=12))
    model.create_variables(batches.batch(0).inputs)
    model.fit(batches, epochs=1, shuffle=False, verbose=0)
    before = batches.take_reward()

    model.fit(batches, epochs=60, shuffle=False, verbose=0)
    batches.take_reward()
    model.fit(batches, epochs=1, shuffle=False, verbose=0)

    assert batches.take_reward() > before + 1


def test_first_words_are_sampled_by_their_probability(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder()
    grid = random_grids(2)
    memory = decoder.build_memory(grid)
    logits = np.array(
        decoder.step(np.full((2, 1), START), decoder.initial_state(memory, 1), memory)[0]
    )
    logits[..., [PAD, START, UNKNOWN]] = -np.inf
    expected = np.exp(logits[:, 0]) / np.exp(logits[:, 0]).sum(axis=-1, keepdims=True)

    drawn = np.asarray(sample(decoder, grid, 4000, 1, keras.random.SeedGenerator(0)))

    for image in range(2):
        shares = np.bincount(drawn[image, :, 0], minlength=len(WORDS)) / 4000
        np.testing.assert_allclose(shares, expected[image], atol=0.04)


def test_later_words_are_sampled_given_the_previous_words(make_decoder: MakeDecoder) -> None:
    decoder = make_decoder()
    grid = random_grids(1)
    drawn = np.asarray(sample(decoder, grid, 6000, 2, keras.random.SeedGenerator(1)))[0]
    first = int(np.bincount(drawn[drawn[:, 0] != END, 0]).argmax())

    words = np.array([[[first, END]]])
    logits = np.array(decoder((grid, words)))[0, 0, 1]
    logits[[PAD, START, UNKNOWN]] = -np.inf

    after = drawn[drawn[:, 0] == first, 1]
    shares = np.bincount(after, minlength=len(WORDS)) / len(after)
    np.testing.assert_allclose(shares, np.exp(logits) / np.exp(logits).sum(), atol=0.05)


def test_captions_are_padded_after_the_end_and_have_no_other_special_tokens(
    make_decoder: MakeDecoder,
) -> None:
    drawn = np.asarray(
        sample(make_decoder(), random_grids(3), 40, 8, keras.random.SeedGenerator(2))
    )

    assert drawn.shape == (3, 40, 8)
    assert drawn.dtype == np.int32
    assert not np.isin(drawn, [START, UNKNOWN]).any()
    ended = np.cumsum(drawn == END, axis=-1) - (drawn == END) > 0
    assert ended.any()
    assert ((drawn == PAD) == ended).all()


@pytest.fixture
def references() -> list[Captions]:
    """Five captions each of twelve images: words 4..40, low numbers more frequent."""
    random = np.random.default_rng(3)

    def caption() -> list[int]:
        return [*(4 + random.geometric(0.12, random.integers(4, 12)) % 37).tolist(), END]

    return [[caption() for _ in range(5)] for _ in range(12)]


def pycocoevalcap_scores(references: list[Captions], captions: Captions) -> list[float]:
    def text(tokens: list[int]) -> str:
        return " ".join(map(str, tokens))

    _, scores = Cider().compute_score(
        {i: [text(caption) for caption in group] for i, group in enumerate(references)},
        {i: [text(caption)] for i, caption in enumerate(captions)},
    )
    return list(map(float, scores))


def test_scores_equal_those_of_pycocoevalcap(references: list[Captions]) -> None:
    random = np.random.default_rng(4)
    captions = [[*group[0][:-1][: random.integers(2, 9)], 7, END] for group in references]

    cider = CiderD(references)

    found = [cider.score(image, caption) for image, caption in enumerate(captions)]
    assert found == pytest.approx(pycocoevalcap_scores(references, captions), abs=1e-6)
    assert max(found) > 0.5


def test_words_outside_the_references_have_the_highest_idf(references: list[Captions]) -> None:
    captions = [[*group[0][:-1], 99, 98, END] for group in references]

    cider = CiderD(references)

    found = [cider.score(image, caption) for image, caption in enumerate(captions)]
    assert found == pytest.approx(pycocoevalcap_scores(references, captions), abs=1e-6)


def test_tokens_after_the_end_are_ignored(references: list[Captions]) -> None:
    caption = references[0][0]
    padded = np.array(
        [[(caption + tail)[:16] + [PAD] * (16 - len(caption + tail)) for tail in ([9, 9], [])]],
        np.int32,
    )

    scores = CiderD(references).scores([0], padded)

    assert scores.shape == (1, 2)
    assert scores[0, 0] == scores[0, 1] > 0
    assert trim([5, END, 6]) == [5, END]
    assert trim([5, PAD, 6]) == [5]


def test_truncated_caption_scores_less_than_the_whole(references: list[Captions]) -> None:
    cider = CiderD(references)
    whole = references[2][1]

    assert cider.score(2, whole) > cider.score(2, whole[:-1])
