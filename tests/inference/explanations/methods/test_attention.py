import numpy as np
import tensorflow as tf

from inference.explanations.methods import METHODS
from inference.explanations.target import Target
from inference.progress import finish
from tests.support.captioners.lstm import LstmCaptionedImage

ATTENTION = METHODS["attention"]


def test_weights_are_the_decoders_and_sum_to_1(subject: LstmCaptionedImage) -> None:
    decoder = subject.model.captioner.decoder
    recital = decoder.teacher_force(tf.constant(subject.grid[None]), tf.constant([[subject.words]]))
    of_words = np.asarray(recital.attention)[0, 0].mean(axis=1).reshape(-1, 4, 4)

    for index, expected in enumerate(of_words):
        values = finish(ATTENTION.explain(subject, Target("word", index))).values
        np.testing.assert_allclose(values, expected, atol=1e-5)
        assert abs(values.sum() - 1) < 1e-5
    values = finish(ATTENTION.explain(subject, Target("caption"))).values
    np.testing.assert_allclose(values, of_words.mean(axis=0), atol=1e-5)


def test_its_title_says_that_it_is_not_an_explanation() -> None:
    assert "not an explanation" in ATTENTION.title
