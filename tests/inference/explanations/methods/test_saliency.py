"""Saliency against tf-keras-vis, and SmoothGrad."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.saliency import Saliency as ReferenceSaliency

from inference.explanations.methods import METHODS
from inference.explanations.methods.saliency import SmoothGrad
from inference.explanations.target import Target
from inference.progress import finish
from models.calibration.tags import Tagger
from models.tag_kinds import tag_kinds
from tests.inference.conftest import TAGS
from tests.support.captioners.lstm import LstmCaptionedImage
from tests.support.oracle.autodiff_captioner import WordLogits, pixels_to_words

Array = NDArray[np.float32]


def assert_close(given: Array, expected: Any) -> None:
    """Assert equality up to the differences between LiteRT and TensorFlow."""
    expected = np.asarray(expected)
    assert given.shape == expected.shape
    np.testing.assert_allclose(given, expected, atol=5e-3 * expected.max())


def saliency(subject: LstmCaptionedImage, target: Target) -> Array:
    return finish(METHODS["saliency"].explain(subject, target)).values


@pytest.fixture(scope="module")
def reference(subject: LstmCaptionedImage) -> Any:
    """The saliency of tf-keras-vis as a function of z."""
    layer = WordLogits(subject.model.captioner.decoder, subject.words)
    computed = ReferenceSaliency(pixels_to_words(subject, layer), clone=False)
    pixels = subject.pixels[None].astype(np.float32)
    return lambda z: computed(z, pixels, normalize_map=False)[0]


def test_the_saliency_of_each_word_is_that_of_tf_keras_vis(
    subject: LstmCaptionedImage, reference: Any
) -> None:
    for index, word in enumerate(subject.words):
        expected = reference(lambda logits, index=index, word=word: logits[:, index, word])
        assert_close(saliency(subject, Target("word", index)), expected)


def test_the_saliency_of_the_caption_and_of_a_contrast_is_that_of_tf_keras_vis(
    subject: LstmCaptionedImage, reference: Any
) -> None:
    words = list(enumerate(subject.words))
    index, word = words[-1]
    rival = next(each for each in range(4, subject.model.vocabulary_size) if each != word)
    text = subject.model.captioner.vocabulary.words[rival]

    assert_close(
        saliency(subject, Target("caption")),
        reference(lambda logits: sum(logits[:, place, each] for place, each in words)),
    )
    assert_close(
        saliency(subject, Target("contrast", index, text)),
        reference(lambda logits: logits[:, index, word] - logits[:, index, rival]),
    )


def test_the_saliency_of_a_tag_is_that_of_its_log_odds(subject: LstmCaptionedImage) -> None:
    captioner = subject.model.captioner
    pixels = tf.constant(subject.pixels[None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        z = Tagger(captioner.classifier, TAGS).logits(captioner.encoder(pixels))[:, 7]
    expected = np.abs(np.asarray(tape.gradient(z, pixels)))[0].max(axis=-1)

    assert_close(saliency(subject, Target("tag", text=tag_kinds()[7].name)), expected)


def test_smoothgrad_without_noise_is_saliency_and_it_is_deterministic(
    subject: LstmCaptionedImage,
) -> None:
    target = Target("word", 1)
    plain = saliency(subject, target)
    still = finish(SmoothGrad(copies=2, noise=0.0).explain(subject, target)).values
    once, again = (finish(SmoothGrad(copies=3).explain(subject, target)).values for _ in "12")

    np.testing.assert_allclose(still, plain, rtol=1e-3, atol=1e-4 * plain.max())
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - plain).max() > 0.1 * plain.max()
