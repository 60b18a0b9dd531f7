"""Grad-CAM of what is read, against automatic differentiation at what is read."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from inference.explanations.methods import METHODS
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.progress import finish
from models.captioner.decoder import Memory
from tests.inference.explanations.plain import DirectWordLogits


def by_tape(
    subject: Subject, index: int, word: int, other: int | None = None
) -> NDArray[np.float32]:
    """Of any sign, [rows, columns]: the cells watched, and all before the step held constant."""
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
    return smoothed(np.asarray(tf.linalg.matvec(centred, beta)).reshape(subject.grid.shape[:2]))


def smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """By a Gaussian of one cell, a cell at a time; what lies beyond the edge does not count."""
    places = np.indices(values.shape)
    means = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        squares = sum((line - at) ** 2 for line, at in zip(places, place, strict=True))
        weights = np.exp(-squares / 2)
        means[place] = (weights * values).sum() / weights.sum()
    return means


def mapped(subject: Subject, target: Target) -> NDArray[np.float32]:
    return finish(METHODS["readcam"].explain(subject, target)).values


@pytest.mark.parametrize("number", range(3))
def test_each_words_map_is_that_of_a_tape(subjects: list[Subject], number: int) -> None:
    subject = subjects[number]
    for index, word in enumerate(subject.words):
        expected = by_tape(subject, index, word)
        given = mapped(subject, Target("word", index))
        np.testing.assert_allclose(
            given, np.maximum(expected, 0), atol=2e-3 * np.abs(expected).max()
        )


def test_a_contrast_is_the_difference_of_two_words(subject: Subject) -> None:
    vocabulary = subject.model.captioner.vocabulary
    word = subject.words[1]
    other = next(each for each in range(4, len(vocabulary)) if each != word)

    expected = by_tape(subject, 1, word, other)

    given = mapped(subject, Target("contrast", 1, vocabulary.words[other]))
    np.testing.assert_allclose(given, np.maximum(expected, 0), atol=2e-3 * np.abs(expected).max())


def test_the_captions_map_is_of_the_sum_of_its_words(subject: Subject) -> None:
    expected = sum(by_tape(subject, index, word) for index, word in enumerate(subject.words))

    given = mapped(subject, Target("caption"))
    np.testing.assert_allclose(given, np.maximum(expected, 0), atol=2e-3 * np.abs(expected).max())


def test_it_is_another_map_than_that_of_the_encoders_grid(subject: Subject) -> None:
    target = Target("word", 0)
    one, other = mapped(subject, target), finish(METHODS["gradcam"].explain(subject, target)).values

    assert np.abs(one / one.max() - other / other.max()).max() > 0.1
