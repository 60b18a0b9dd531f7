"""Grad-CAM and its kin against tf-keras-vis and against a plain computation for each word."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.gradcam import Gradcam

from inference.explanations.methods import METHODS
from inference.explanations.score import score
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.progress import finish
from models.calibration.tags import Tagger, kinds
from tests.inference.explanations.conftest import TAGS
from tests.inference.explanations.plain import (
    DirectWordLogits,
    WordLogits,
    direct_logits,
    gradient_at_grid,
    pixels_to_words,
)

Array = NDArray[np.float32]


def mapped(method: str, subject: Subject, target: Target) -> Array:
    return finish(METHODS[method].explain(subject, target)).values


def close(given: Array, expected: Array) -> None:
    """Equal but for what LiteRT computes otherwise than TensorFlow."""
    assert given.shape == expected.shape
    assert expected.max() > 0
    np.testing.assert_allclose(given, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["gradcam", "gradcam-total"])
def test_each_words_map_is_that_of_tf_keras_vis(subject: Subject, method: str) -> None:
    decoder = subject.model.captioner.decoder
    layer = DirectWordLogits(subject) if method == "gradcam" else WordLogits(decoder, subject.words)
    gradcam = Gradcam(pixels_to_words(subject, layer), clone=False)
    last = subject.model.captioner.encoder.layers[-1].name
    for index, word in enumerate(subject.words):
        expected = gradcam(
            lambda logits, index=index, word=word: logits[:, index, word],
            subject.pixels[None].astype(np.float32),
            penultimate_layer=last,
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )
        close(mapped(method, subject, Target("word", index)), np.asarray(expected)[0])


def test_direct_and_total_differ_but_where_nothing_was_read_before(subject: Subject) -> None:
    pairs = [
        [mapped(method, subject, Target("word", index)) for method in ("gradcam", "gradcam-total")]
        for index in range(len(subject.words))
    ]
    for direct, total in pairs:
        assert np.abs(direct - total).max() > 0.05 * total.max()


@pytest.mark.parametrize("number", range(3))
def test_direct_maps_are_those_of_a_tape_for_each_word(
    subjects: list[Subject], number: int
) -> None:
    subject = subjects[number]
    decoder, grid = subject.model.captioner.decoder, subject.grid
    for index, word in enumerate(subject.words):

        def z(grid: tf.Tensor, index: int = index, word: int = word) -> tf.Tensor:
            return direct_logits(decoder, grid, subject.words)[index][word]

        gradient = gradient_at_grid(subject, z)
        target = Target("word", index)
        gradcam = np.maximum(grid @ gradient.mean(axis=(0, 1)), 0)
        close(mapped("gradcam", subject, target), gradcam)
        close(mapped("hirescam", subject, target), np.maximum((grid * gradient).sum(axis=-1), 0))


def test_the_captions_map_is_of_the_sum_of_its_words_logits(subject: Subject) -> None:
    decoder, grid = subject.model.captioner.decoder, subject.grid

    def z(grid: tf.Tensor) -> tf.Tensor:
        logits = direct_logits(decoder, grid, subject.words)
        return sum(each[word] for each, word in zip(logits, subject.words, strict=True))

    alpha = gradient_at_grid(subject, z).mean(axis=(0, 1))
    close(mapped("gradcam", subject, Target("caption")), np.maximum(grid @ alpha, 0))


@pytest.mark.parametrize("method", ["gradcam", "gradcam-total", "hirescam"])
def test_a_contrast_is_the_difference_of_two_words(subject: Subject, method: str) -> None:
    decoder, grid = subject.model.captioner.decoder, subject.grid
    vocabulary = subject.model.captioner.vocabulary
    index = 1
    word = subject.words[index]
    other = next(each for each in range(4, len(vocabulary)) if each != word)

    def z(grid: tf.Tensor) -> tf.Tensor:
        if method == "gradcam-total":
            logits = decoder((grid, tf.constant([[subject.words]])))[0, 0, index]
        else:
            logits = direct_logits(decoder, grid, subject.words)[index]
        return logits[word] - logits[other]

    gradient = gradient_at_grid(subject, z)
    expected = (
        (grid * gradient).sum(axis=-1)
        if method == "hirescam"
        else grid @ gradient.mean(axis=(0, 1))
    )
    target = Target("contrast", index, vocabulary.words[other])
    close(mapped(method, subject, target), np.maximum(expected, 0))


def test_a_tags_map_is_of_its_log_odds(subject: Subject) -> None:
    tagger = Tagger(subject.model.captioner.classifier, TAGS)
    for index in (3, 40):

        def z(grid: tf.Tensor, index: int = index) -> tf.Tensor:
            return tagger.logits(grid)[0, index]

        gradient = gradient_at_grid(subject, z)
        expected = subject.grid @ gradient.mean(axis=(0, 1))
        given = mapped("gradcam", subject, Target("tag", text=kinds()[index].name))
        np.testing.assert_allclose(given, np.maximum(expected, 0), atol=1e-3 * np.ptp(expected))


def test_z_is_what_the_decoder_and_the_tagger_say(subjects: list[Subject]) -> None:
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
        Target("tag", text=kinds()[9].name): np.asarray(
            Tagger(one.model.captioner.classifier, TAGS).logits(grids)
        )[:, 9],
    }
    for target, z in expected.items():
        np.testing.assert_allclose(score(one, target).logits(grids), z, rtol=1e-4, atol=1e-4)
