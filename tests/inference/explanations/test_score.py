"""Scores of targets against the decoder and the tagger."""

import numpy as np
import pytest
import tensorflow as tf

from inference.explanations.score import target_score
from inference.explanations.target import Target
from models.calibration.tags import Tagger
from models.tag_kinds import tag_kinds
from tests.inference.conftest import TAGS
from tests.support.captioners.lstm import LstmCaptionedImage


def test_z_equals_the_logits_of_the_decoder_and_the_tagger(
    subjects: list[LstmCaptionedImage],
) -> None:
    one, other = subjects[:2]
    grids = np.stack([one.grid, other.grid])
    decoder, vocabulary = one.model.captioner.decoder, one.model.captioner.vocabulary
    logits = np.asarray(decoder((grids, tf.constant([[one.words], [one.words]]))))[:, 0]
    ball = vocabulary.words.index("ball")
    word = one.words[2]
    rival = ball if word != ball else ball + 1
    expected = {
        Target("word", 2): logits[:, 2, word],
        Target("contrast", 2, vocabulary.words[rival]): logits[:, 2, word] - logits[:, 2, rival],
        Target("caption"): sum(logits[:, place, each] for place, each in enumerate(one.words)),
        Target("tag", text=tag_kinds()[9].name): np.asarray(
            Tagger(one.model.captioner.classifier, TAGS).logits(grids)
        )[:, 9],
    }
    for target, z in expected.items():
        np.testing.assert_allclose(target_score(one, target).logits(grids), z, rtol=1e-4, atol=1e-4)


def test_probabilities_are_those_that_captions_state(subject: LstmCaptionedImage) -> None:
    caption = subject.model.caption(subject.image)
    stated = [word.prob for word in caption.words if word.prob is not None]
    assert len(stated) == len(caption.words)
    grids = subject.grid[None]

    for index, prob in enumerate(stated):
        (given,) = target_score(subject, Target("word", index)).probabilities(grids)
        assert given == pytest.approx(prob, abs=1e-3)
    (given,) = target_score(subject, Target("caption")).probabilities(grids)
    assert given == pytest.approx(np.exp(np.log(stated).mean()), abs=2e-3)
