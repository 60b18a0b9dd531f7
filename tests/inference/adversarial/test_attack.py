"""Attacks on the small captioner: compared with foolbox, and their effect."""

from typing import Any

import foolbox
import numpy as np
import pytest
import tensorflow as tf

from inference.adversarial.attack import Array, Attack
from inference.adversarial.goals import (
    AddWord,
    AdversarialExample,
    ChangeCaption,
    DropWord,
    FlipWord,
)
from inference.captioners.lstm import LstmCaptionModel
from inference.progress import finish
from models.attacks import Norm, fgsm, norms
from models.captioner.beam_search import forbidden_token_bias
from models.language import END
from tests.support.captioners.lstm import LstmCaptionedImage
from tests.support.oracle.autodiff_captioner import WordLogits, pixels_to_words

NORMS: tuple[Norm, ...] = ("linf", "l2")
MAX_EPSILON = 64.0


def caption_words(subject: LstmCaptionedImage, perturbation: Array) -> list[int]:
    """Return the words that beam search finds for the image with a perturbation."""
    grid = subject.model.encode_pixels(subject.pixels + perturbation)
    return [int(word) for word in subject.model.search(grid).tokens[0] if word > END]


def assert_within_limits(attack: Attack, found: AdversarialExample, norm: Norm) -> None:
    assert float(norms(found.perturbation, norm)[0]) == found.epsilon <= attack.largest(norm)
    attacked = attack.pixels + found.perturbation
    assert attacked.min() >= -1e-4 and attacked.max() <= 255 + 1e-4


@pytest.fixture(scope="module")
def searched_subject(subject: LstmCaptionedImage) -> LstmCaptionedImage:
    """The subject with the caption that beam search finds."""
    found = subject.model.search(subject.grid[None]).tokens[0]
    return LstmCaptionedImage(
        subject.model, subject.image, tuple(int(word) for word in found if word)
    )


@pytest.mark.parametrize("norm", NORMS)
def test_steps_match_foolbox(subject: LstmCaptionedImage, norm: Norm) -> None:
    place, epsilon = 1, {"linf": 3.0, "l2": 300.0}[norm]
    decoder = subject.model.captioner.decoder
    whole = pixels_to_words(subject, WordLogits(decoder, subject.words))
    bias = forbidden_token_bias(decoder.config.vocabulary_size)
    model = foolbox.TensorFlowModel(lambda pixels: whole(pixels)[:, place] + bias, bounds=(0, 255))
    pixels = subject.pixels[None].astype(np.float32)
    word = foolbox.criteria.Misclassification(tf.constant([subject.words[place]], tf.int64))
    many: Any = {
        "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
        "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
    }[norm](rel_stepsize=2.5 / 3, steps=3, random_start=False)
    one: Any = {"linf": foolbox.attacks.FGSM, "l2": foolbox.attacks.FGM}[norm]()
    attack = Attack(subject, FlipWord(subject, place), MAX_EPSILON)

    first = fgsm(attack.gradient, attack.pixels, epsilon, norm)
    *_, last = attack.steps(norm, epsilon, 3, np.zeros_like(pixels))

    # Not exactly 1: LiteRT rounds differently, and signs flip where a gradient is close to 0, more
    # often with more steps.
    for ours, theirs, tolerance in ((first, one, 0.02), (last, many, 0.08)):
        attacked = theirs.run(model, tf.constant(pixels), word, epsilon=epsilon)
        expected = np.asarray(attacked) - pixels
        along = float(np.sum(ours * expected) / np.sum(expected**2))
        assert along == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize("norm", NORMS)
def test_found_perturbations_change_the_caption_and_smaller_ones_do_not(
    searched_subject: LstmCaptionedImage, norm: Norm
) -> None:
    subject = searched_subject
    attack = Attack(subject, ChangeCaption(subject), MAX_EPSILON)

    one_step = finish(attack.fgsm(norm))
    nearer = finish(attack.fab(norm, 4, one_step))
    several = finish(attack.pgd(norm, 4, nearer))

    assert one_step and nearer and several
    assert several.epsilon <= nearer.epsilon <= one_step.epsilon
    for found in (one_step, nearer, several):
        assert_within_limits(attack, found, norm)
        assert (
            caption_words(subject, found.perturbation) == list(found.tokens) != list(subject.words)
        )
    less = fgsm(attack.gradient, attack.pixels, one_step.epsilon / 1.3, norm)
    assert caption_words(subject, less) == list(subject.words)


def test_searched_caption_counts_as_unchanged(subjects: list[LstmCaptionedImage]) -> None:
    # The subject's caption is a prefix of the searched one.
    subject = min(subjects, key=lambda subject: len(subject.words))
    goal = ChangeCaption(subject)

    assert goal.searched != subject.words
    assert not goal.evaluate(subject.grid).reached


def test_word_is_flipped(subject: LstmCaptionedImage) -> None:
    likeliest = subject.rescored.alternative_tokens[:, 0]
    place = int(max(np.flatnonzero(likeliest[: len(subject.words)] == subject.words)))
    attack = Attack(subject, FlipWord(subject, place), MAX_EPSILON)

    found = finish(attack.pgd("linf", 4, finish(attack.fgsm("linf"))))

    assert found and found.epsilon > 0
    grid = subject.model.encode_pixels(subject.pixels + found.perturbation)
    rescored = subject.model.rescore(grid, [subject.tokens])
    assert rescored.alternative_tokens[0, place, 0] == found.tokens[0] != subject.words[place]
    assert_within_limits(attack, found, "linf")


def test_word_that_is_not_the_likeliest_needs_no_attack(subject: LstmCaptionedImage) -> None:
    alternatives = subject.rescored.alternative_tokens[0]
    likeliest, other = int(alternatives[0]), int(alternatives[1])
    swapped = LstmCaptionedImage(subject.model, subject.image, (other, *subject.tokens[1:]))

    found = finish(Attack(swapped, FlipWord(swapped, 0), MAX_EPSILON).fgsm("l2"))

    assert found and found.epsilon == 0
    assert found.tokens == (likeliest,)
    assert not found.perturbation.any()


def test_word_is_dropped(searched_subject: LstmCaptionedImage) -> None:
    subject = searched_subject
    words = subject.model.captioner.vocabulary.words
    dropped = subject.words[-1]
    attack = Attack(subject, DropWord(subject, words[dropped]), MAX_EPSILON)

    found = finish(attack.pgd("linf", 6, finish(attack.fgsm("linf"))))

    assert found
    assert dropped not in caption_words(subject, found.perturbation)
    assert_within_limits(attack, found, "linf")


def test_word_is_added(searched_subject: LstmCaptionedImage) -> None:
    subject = searched_subject
    words = subject.model.captioner.vocabulary.words
    alternatives = subject.rescored.alternative_tokens[0]
    added = next(int(word) for word in alternatives if word > END and word not in subject.words)
    attack = Attack(subject, AddWord(subject, words[added]), MAX_EPSILON)

    found = finish(attack.pgd("linf", 6))

    assert found
    assert added in caption_words(subject, found.perturbation)
    assert_within_limits(attack, found, "linf")


def test_unsuitable_words_are_refused(model: LstmCaptionModel, subject: LstmCaptionedImage) -> None:
    words = model.captioner.vocabulary.words
    present = words[subject.words[0]]
    absent = next(word for token, word in enumerate(words[4:], 4) if token not in subject.words)

    with pytest.raises(ValueError, match="'xylophonist' is not in the captioner's vocabulary"):
        AddWord(subject, "xylophonist")
    with pytest.raises(ValueError, match="'<end>' is not in the captioner's vocabulary"):
        DropWord(subject, "<end>")
    with pytest.raises(ValueError, match=f"already contains '{present}'"):
        AddWord(subject, present)
    with pytest.raises(ValueError, match=f"does not contain '{absent}'"):
        DropWord(subject, absent)


def test_failed_attacks_return_none(searched_subject: LstmCaptionedImage) -> None:
    class Never(ChangeCaption):
        def evaluate(self, grid: Array) -> Any:
            return super().evaluate(grid)._replace(reached=False)

    attack = Attack(searched_subject, Never(searched_subject), 1.0)

    assert finish(attack.fgsm("linf")) is None
    assert finish(attack.pgd("linf", 1)) is None
