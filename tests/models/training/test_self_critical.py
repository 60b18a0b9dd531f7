"""Tests of training for CIDEr."""

from dataclasses import replace

import numpy as np
import pytest

from models.datasets import Example
from models.language.vocabulary import PAD, Vocabulary
from models.training.batches import TrainingSet
from models.training.config import TrainingConfig
from models.training.learner import Learner
from models.training.optimization import CaptionLoss, SlowerFor
from models.training.self_critical import CiderD, SelfCriticalBatches, trim
from tests.models.conftest import WORDS, MakeDecoder, random_grids

CAPTIONS = ("a dog runs", "a red ball on grass", "grass", "a dog's red ball")
CONFIG = TrainingConfig(
    name="small", batch=4, captions=6, length=6, objective="self-critical", label_smoothing=0.0
)


def made_batches(learner: Learner, config: TrainingConfig = CONFIG) -> SelfCriticalBatches:
    examples = [Example(f"{i}.jpg", "train", (text,)) for i, text in enumerate(CAPTIONS)]
    grids = random_grids(4).astype(np.float16)[:, None]
    texts = ("a red dog",) * 12
    batches = SelfCriticalBatches(
        TrainingSet(examples, grids, None, texts), Vocabulary(WORDS), config, learner
    )
    learner(batches.batch(0).inputs)
    return batches


def test_each_drawn_caption_weighs_what_it_is_better_than_the_others(
    make_decoder: MakeDecoder,
) -> None:
    batches = made_batches(Learner(make_decoder()))

    inputs, targets = batches[0]

    assert inputs.tokens.shape == (4, 6, 6)
    vocabulary = Vocabulary(WORDS)
    cider = CiderD([[trim(vocabulary.encode(text, 6))] for text in CAPTIONS])
    # The features tell which picture a row is of.
    grids = random_grids(4).astype(np.float16).astype(np.float32)
    pictures = [int(np.abs(grids - row).sum((1, 2, 3)).argmin()) for row in inputs.features]
    rewards = cider.scores(pictures, inputs.tokens)
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / 5
    words = inputs.tokens != PAD
    wanted = (rewards - others)[..., None] * words / words.sum()
    np.testing.assert_allclose(targets[..., 1], wanted, atol=1e-6)
    assert np.abs(wanted).max() > 0
    assert batches.take_reward() == pytest.approx(rewards.mean(), rel=1e-5)


def test_human_captions_and_texts_weigh_what_they_are_given(make_decoder: MakeDecoder) -> None:
    config = replace(CONFIG, human_share=0.25, human_captions=2, texts=1)

    inputs, targets = made_batches(Learner(make_decoder()), config)[0]

    assert inputs.tokens.shape == (5, 8, 6)
    words = inputs.tokens != PAD
    likelihood = targets[:, 6:, :, 1]
    np.testing.assert_allclose(likelihood, 0.25 * words[:, 6:] / words.sum(), rtol=1e-5)
    assert (targets[4, :6, :, 1] == 0).all(), "nothing is drawn where there is no picture"


def test_training_raises_the_reward(make_decoder: MakeDecoder) -> None:
    learner = Learner(make_decoder())
    learner.compile(SlowerFor([], 1.0, learning_rate=0.003), CaptionLoss(0.0), jit_compile=False)
    batches = made_batches(learner, replace(CONFIG, captions=12))
    learner.fit(batches, epochs=1, shuffle=False, verbose=0)
    before = batches.take_reward()

    learner.fit(batches, epochs=60, shuffle=False, verbose=0)
    batches.take_reward()
    learner.fit(batches, epochs=1, shuffle=False, verbose=0)

    assert batches.take_reward() > before + 1
