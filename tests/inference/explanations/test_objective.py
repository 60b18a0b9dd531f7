"""What attacks raise, and its gradient, against the decoder's own teacher forcing."""

import numpy as np
import pytest
import tensorflow as tf

from inference.adversarial.aims import lowering
from inference.explanations.objective import Objective
from inference.explanations.subject import Subject
from models.captioner.beam_search import silencing
from models.language.vocabulary import PAD
from tests.inference.explanations.plain import gradient_at_grid


def log_probs(subject: Subject, grid: tf.Tensor) -> tf.Tensor:
    """Of all words in all places [T, V], the caption teacher-forced."""
    decoder = subject.model.captioner.decoder
    logits = decoder((grid, tf.constant([[subject.tokens]])))[0, 0]
    return tf.nn.log_softmax(logits + silencing(decoder.config.vocabulary_size))


def close(subject: Subject, objective: Objective, z: object) -> None:
    given = subject.model.graphs.attack_gradient(subject.grid, objective)
    expected = gradient_at_grid(subject, z)  # type: ignore[arg-type]
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(given, expected, atol=1e-4 * np.abs(expected).max())


def test_a_captions_is_the_sum_over_its_words_and_their_end(subject: Subject) -> None:
    tokens = subject.tokens

    close(
        subject,
        lowering(tokens, range(len(tokens))),
        lambda grid: -sum(log_probs(subject, grid)[t, word] for t, word in enumerate(tokens)),
    )


@pytest.mark.parametrize("place", [0, 2])
def test_a_words_is_its_own_given_the_words_before(subject: Subject, place: int) -> None:
    word = subject.words[place]

    close(
        subject,
        lowering(subject.tokens[: place + 1], [place]),
        lambda grid: -log_probs(subject, grid)[place, word],
    )


def test_a_raised_word_is_as_near_as_in_its_best_place(subject: Subject) -> None:
    tokens = np.array(subject.tokens, np.int32)
    raised = next(word for word in range(4, 30) if word not in subject.words)

    def z(grid: tf.Tensor) -> tf.Tensor:
        found = log_probs(subject, grid)
        others = tf.concat([found[:, :raised], found[:, raised + 1 :]], axis=1)
        return tf.reduce_max(found[:, raised] - tf.reduce_max(others, axis=1))

    close(subject, Objective(tokens, np.full_like(tokens, PAD), raised), z)
