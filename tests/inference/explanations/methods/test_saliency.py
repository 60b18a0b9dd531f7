"""Saliency and what is made of it, against tf-keras-vis, by completeness and by hand."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.saliency import Saliency as OtherSaliency

from inference.captioning.model import CaptionModel
from inference.explanations.methods import METHODS
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.methods.saliency import SmoothGrad
from inference.explanations.score import score
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.progress import finish
from models.calibration.tags import Tagger, kinds
from models.language.vocabulary import END
from tests.inference.conftest import photographs
from tests.inference.explanations.conftest import SIDE, TAGS
from tests.inference.explanations.plain import WordLogits, pixels_to_words

Array = NDArray[np.float32]


def close(given: Array, expected: Any) -> None:
    """Equal but for what LiteRT computes otherwise than TensorFlow."""
    expected = np.asarray(expected)
    assert given.shape == expected.shape
    np.testing.assert_allclose(given, expected, atol=5e-3 * expected.max())


def saliency(subject: Subject, target: Target) -> Array:
    return finish(METHODS["saliency"].explain(subject, target)).values


@pytest.fixture(scope="module")
def other(subject: Subject) -> Any:
    """tf-keras-vis's saliency, a function of z."""
    layer = WordLogits(subject.model.captioner.decoder, subject.words)
    computed = OtherSaliency(pixels_to_words(subject, layer), clone=False)
    pixels = subject.pixels[None].astype(np.float32)
    return lambda z: computed(z, pixels, normalize_map=False)[0]


def test_each_words_saliency_is_that_of_tf_keras_vis(subject: Subject, other: Any) -> None:
    for index, word in enumerate(subject.words):
        expected = other(lambda logits, index=index, word=word: logits[:, index, word])
        close(saliency(subject, Target("word", index)), expected)


def test_so_are_those_of_the_caption_and_of_a_contrast(subject: Subject, other: Any) -> None:
    words = list(enumerate(subject.words))
    index, word = words[-1]
    rival = next(each for each in range(4, subject.model.vocabulary_size) if each != word)
    text = subject.model.captioner.vocabulary.words[rival]

    close(
        saliency(subject, Target("caption")),
        other(lambda logits: sum(logits[:, place, each] for place, each in words)),
    )
    close(
        saliency(subject, Target("contrast", index, text)),
        other(lambda logits: logits[:, index, word] - logits[:, index, rival]),
    )


def test_a_tags_saliency_is_that_of_its_log_odds(subject: Subject) -> None:
    captioner = subject.model.captioner
    pixels = tf.constant(subject.pixels[None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        z = Tagger(captioner.classifier, TAGS).logits(captioner.encoder(pixels))[:, 7]
    expected = np.abs(np.asarray(tape.gradient(z, pixels)))[0].max(axis=-1)

    close(saliency(subject, Target("tag", text=kinds()[7].name)), expected)


def test_smoothgrad_without_noise_is_saliency_and_the_same_each_time(subject: Subject) -> None:
    target = Target("word", 1)
    plain = saliency(subject, target)
    still = finish(SmoothGrad(copies=2, noise=0.0).explain(subject, target)).values
    once, again = (finish(SmoothGrad(copies=3).explain(subject, target)).values for _ in "12")

    np.testing.assert_allclose(still, plain, rtol=1e-3, atol=1e-4 * plain.max())
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - plain).max() > 0.1 * plain.max()


@pytest.mark.parametrize(
    "target",
    [Target("word", 1), Target("caption"), Target("tag", text="dog")],
    ids=lambda target: target.kind,
)
def test_integrated_gradients_add_up_to_what_z_gained(model: CaptionModel, target: Target) -> None:
    # A faint picture: on the way to a strong one a network of random weights turns too often.
    faint = np.round(128 + (photographs(SIDE)[0] - 128.0) * 0.06).astype(np.uint8)
    subject = Subject(model, faint, (4, 5, 6, END))
    z = score(subject, target)
    colour = np.broadcast_to(subject.mean_colour, subject.pixels.shape)
    grids = subject.model.encode_pixels(np.stack([subject.pixels, colour]).astype(np.float32))
    whole, nothing = z.logits(grids)

    parts = finish(IntegratedGradients(steps=96).attributions(subject, z))

    assert parts.shape == subject.pixels.shape
    assert abs(whole - nothing) > 0.01
    assert float(parts.sum()) == pytest.approx(float(whole - nothing), rel=0.05)


def test_integrated_gradients_show_what_spoke_for_it(subject: Subject) -> None:
    target, method = Target("word", 2), IntegratedGradients(steps=4)
    parts = finish(method.attributions(subject, score(subject, target))).sum(axis=-1)
    shown = finish(method.explain(subject, target)).values

    blocks = parts.reshape(64, 2, 64, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(shown, np.maximum(blocks, 0), atol=1e-4 * np.abs(blocks).max())
    assert (blocks < 0).any()
