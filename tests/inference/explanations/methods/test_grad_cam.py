"""Grad-CAM and its variants against tf-keras-vis and against automatic differentiation."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.gradcam import Gradcam

from inference.explanations.methods import METHODS
from inference.explanations.target import Target
from inference.progress import finish
from models.calibration.tags import Tagger
from models.captioner.decoder import Memory
from models.tag_kinds import tag_kinds
from tests.inference.conftest import TAGS
from tests.support.captioners.lstm import LstmCaptionedImage
from tests.support.oracle.autodiff_captioner import (
    DirectWordLogits,
    WordLogits,
    direct_logits,
    gradient_at_grid,
    pixels_to_words,
)

Array = NDArray[np.float32]


def map_of(method: str, subject: LstmCaptionedImage, target: Target) -> Array:
    return finish(METHODS[method].explain(subject, target)).values


def assert_close(given: Array, expected: Array) -> None:
    """Assert equality up to the differences between LiteRT and TensorFlow."""
    assert given.shape == expected.shape
    assert expected.max() > 0
    np.testing.assert_allclose(given, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["gradcam", "gradcam-total"])
def test_each_words_map_is_that_of_tf_keras_vis(subject: LstmCaptionedImage, method: str) -> None:
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
        assert_close(map_of(method, subject, Target("word", index)), np.asarray(expected)[0])


def test_direct_and_total_maps_differ(subject: LstmCaptionedImage) -> None:
    pairs = [
        [map_of(method, subject, Target("word", index)) for method in ("gradcam", "gradcam-total")]
        for index in range(len(subject.words))
    ]
    for direct, total in pairs:
        assert np.abs(direct - total).max() > 0.05 * total.max()


@pytest.mark.parametrize("number", range(3))
def test_direct_maps_equal_those_of_a_gradient_tape_for_each_word(
    subjects: list[LstmCaptionedImage], number: int
) -> None:
    subject = subjects[number]
    decoder, grid = subject.model.captioner.decoder, subject.grid
    for index, word in enumerate(subject.words):

        def z(grid: tf.Tensor, index: int = index, word: int = word) -> tf.Tensor:
            return direct_logits(decoder, grid, subject.words)[index][word]

        gradient = gradient_at_grid(subject, z)
        target = Target("word", index)
        gradcam = np.maximum(grid @ gradient.mean(axis=(0, 1)), 0)
        assert_close(map_of("gradcam", subject, target), gradcam)
        assert_close(
            map_of("hirescam", subject, target), np.maximum((grid * gradient).sum(axis=-1), 0)
        )


def test_the_captions_map_is_of_the_sum_of_its_words_logits(subject: LstmCaptionedImage) -> None:
    decoder, grid = subject.model.captioner.decoder, subject.grid

    def z(grid: tf.Tensor) -> tf.Tensor:
        logits = direct_logits(decoder, grid, subject.words)
        return sum(each[word] for each, word in zip(logits, subject.words, strict=True))

    alpha = gradient_at_grid(subject, z).mean(axis=(0, 1))
    assert_close(map_of("gradcam", subject, Target("caption")), np.maximum(grid @ alpha, 0))


@pytest.mark.parametrize("method", ["gradcam", "gradcam-total", "hirescam"])
def test_a_contrast_is_the_difference_of_two_words(
    subject: LstmCaptionedImage, method: str
) -> None:
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
    assert_close(map_of(method, subject, target), np.maximum(expected, 0))


def test_a_tags_map_is_of_its_log_odds(subject: LstmCaptionedImage) -> None:
    tagger = Tagger(subject.model.captioner.classifier, TAGS)
    for index in (3, 40):

        def z(grid: tf.Tensor, index: int = index) -> tf.Tensor:
            return tagger.logits(grid)[0, index]

        gradient = gradient_at_grid(subject, z)
        expected = subject.grid @ gradient.mean(axis=(0, 1))
        given = map_of("gradcam", subject, Target("tag", text=tag_kinds()[index].name))
        np.testing.assert_allclose(given, np.maximum(expected, 0), atol=1e-3 * np.ptp(expected))


def readcam_by_tape(
    subject: LstmCaptionedImage, index: int, word: int, other: int | None = None
) -> NDArray[np.float32]:
    """Compute a signed Read-CAM, [rows, columns], with the previous steps held constant."""
    layer = DirectWordLogits(subject)
    decoder = layer.decoder
    grid = subject.grid.reshape(1, -1, subject.grid.shape[-1])
    cells = tf.constant(np.asarray(decoder.project_norm(decoder.project(grid))))
    heads = decoder.config.heads
    with tf.GradientTape() as tape:
        tape.watch(cells)
        keys, values = (
            tf.reshape(each, (1, grid.shape[1], heads, -1)) for each in (decoder.key(cells), cells)
        )
        memory = Memory(
            keys=tf.transpose(keys, (0, 2, 3, 1)),
            values=tf.transpose(values, (0, 2, 1, 3)),
            mean=tf.reduce_mean(cells, axis=1),
        )
        before = tf.constant([[layer.before[index]]])
        logits = decoder.step(before, layer.states[index], memory).logits[0, 0]
        z = logits[word] - (logits[other] if other is not None else 0.0)
    beta = tf.reduce_mean(tape.gradient(z, cells)[0], axis=0)
    centred = cells[0] - tf.reduce_mean(cells[0], axis=0)
    return blurred(np.asarray(tf.linalg.matvec(centred, beta)).reshape(subject.grid.shape[:2]))


def blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur by a Gaussian of one cell, cell by cell, without anything beyond the edges."""
    places = np.indices(values.shape)
    means = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        squares = sum((line - at) ** 2 for line, at in zip(places, place, strict=True))
        weights = np.exp(-squares / 2)
        means[place] = (weights * values).sum() / weights.sum()
    return means


@pytest.mark.parametrize("number", range(3))
def test_readcam_of_each_word_equals_that_of_a_gradient_tape(
    subjects: list[LstmCaptionedImage], number: int
) -> None:
    subject = subjects[number]
    for index, word in enumerate(subject.words):
        expected = readcam_by_tape(subject, index, word)
        given = map_of("readcam", subject, Target("word", index))
        np.testing.assert_allclose(
            given, np.maximum(expected, 0), atol=2e-3 * np.abs(expected).max()
        )


def test_readcam_of_a_contrast_is_the_difference_of_two_words(subject: LstmCaptionedImage) -> None:
    vocabulary = subject.model.captioner.vocabulary
    word = subject.words[1]
    other = next(each for each in range(4, len(vocabulary)) if each != word)

    expected = readcam_by_tape(subject, 1, word, other)

    given = map_of("readcam", subject, Target("contrast", 1, vocabulary.words[other]))
    np.testing.assert_allclose(given, np.maximum(expected, 0), atol=2e-3 * np.abs(expected).max())


def test_readcam_of_a_caption_is_of_the_sum_of_its_words(subject: LstmCaptionedImage) -> None:
    expected = sum(
        readcam_by_tape(subject, index, word) for index, word in enumerate(subject.words)
    )

    given = map_of("readcam", subject, Target("caption"))
    np.testing.assert_allclose(given, np.maximum(expected, 0), atol=2e-3 * np.abs(expected).max())


def test_readcam_differs_from_gradcam(subject: LstmCaptionedImage) -> None:
    target = Target("word", 0)
    one, other = map_of("readcam", subject, target), map_of("gradcam", subject, target)

    assert np.abs(one / one.max() - other / other.max()).max() > 0.1
