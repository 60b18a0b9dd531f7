"""An attack's objective and its gradient, against the decoder's teacher forcing."""

import numpy as np
import pytest
import tensorflow as tf

from inference.adversarial.goals import lowering_objective
from inference.captioning.objective import AttackObjective
from models.captioner.beam_search import forbidden_token_bias
from models.language import PAD
from tests.support.captioners.lstm import LstmCaptionedImage
from tests.support.oracle.autodiff_captioner import gradient_at_grid


def log_probs(subject: LstmCaptionedImage, grid: tf.Tensor) -> tf.Tensor:
    """Return the log-probabilities of all words in all places, [T, V], by teacher forcing."""
    decoder = subject.model.captioner.decoder
    logits = decoder((grid, tf.constant([[subject.tokens]])))[0, 0]
    return tf.nn.log_softmax(logits + forbidden_token_bias(decoder.config.vocabulary_size))


def close(subject: LstmCaptionedImage, objective: AttackObjective, z: object) -> None:
    given = subject.model.graphs.attack_gradient(subject.grid, objective)
    expected = gradient_at_grid(subject, z)  # type: ignore[arg-type]
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(given, expected, atol=1e-4 * np.abs(expected).max())


def test_the_objective_of_a_caption_is_the_sum_over_its_words_and_the_end_token(
    subject: LstmCaptionedImage,
) -> None:
    tokens = subject.tokens

    close(
        subject,
        lowering_objective(tokens, range(len(tokens))),
        lambda grid: -sum(log_probs(subject, grid)[t, word] for t, word in enumerate(tokens)),
    )


@pytest.mark.parametrize("place", [0, 2])
def test_the_objective_of_a_word_is_its_own_log_probability(
    subject: LstmCaptionedImage, place: int
) -> None:
    word = subject.words[place]

    close(
        subject,
        lowering_objective(subject.tokens[: place + 1], [place]),
        lambda grid: -log_probs(subject, grid)[place, word],
    )


def test_the_objective_of_a_raised_word_is_its_closeness_in_its_best_place(
    subject: LstmCaptionedImage,
) -> None:
    tokens = np.array(subject.tokens, np.int32)
    raised = next(word for word in range(4, 30) if word not in subject.words)

    def z(grid: tf.Tensor) -> tf.Tensor:
        found = log_probs(subject, grid)
        others = tf.concat([found[:, :raised], found[:, raised + 1 :]], axis=1)
        return tf.reduce_max(found[:, raised] - tf.reduce_max(others, axis=1))

    close(subject, AttackObjective(tokens, np.full_like(tokens, PAD), raised), z)
