"""Attacks on the small captioner: against foolbox, and that they do what they say."""

from typing import Any

import foolbox
import numpy as np
import pytest
import tensorflow as tf

from inference.adversarial.aims import ChangeCaption, FlipWord, LoseWord, SayWord
from inference.adversarial.attack import Array, Attack, Found
from inference.captioning.model import CaptionModel
from inference.explanations.subject import Subject
from inference.progress import finish
from models.attacks import Norm, fgsm, norms
from models.captioner.beam_search import silencing
from models.language.vocabulary import END
from tests.inference.explanations.plain import WordLogits, pixels_to_words

NORMS: tuple[Norm, ...] = ("linf", "l2")
MOST = 64.0


def said(subject: Subject, perturbation: Array) -> list[int]:
    """The words that the search finds on the picture with a perturbation."""
    grid = subject.model.encode_pixels(subject.pixels + perturbation)
    return [int(word) for word in subject.model.search(grid).tokens[0] if word > END]


def stays_inside(attack: Attack, found: Found, norm: Norm) -> None:
    assert float(norms(found.perturbation, norm)[0]) == found.epsilon <= attack.largest(norm)
    attacked = attack.pixels + found.perturbation
    assert attacked.min() >= -1e-4 and attacked.max() <= 255 + 1e-4


@pytest.fixture(scope="module")
def said_by_search(subject: Subject) -> Subject:
    """The subject with what the search finds as its caption."""
    found = subject.model.search(subject.grid[None]).tokens[0]
    return Subject(subject.model, subject.image, tuple(int(word) for word in found if word))


@pytest.mark.parametrize("norm", NORMS)
def test_steps_on_a_word_are_those_of_foolbox(subject: Subject, norm: Norm) -> None:
    place, epsilon = 1, {"linf": 3.0, "l2": 300.0}[norm]
    decoder = subject.model.captioner.decoder
    whole = pixels_to_words(subject, WordLogits(decoder, subject.words))
    silence = silencing(decoder.config.vocabulary_size)
    model = foolbox.TensorFlowModel(
        lambda pixels: whole(pixels)[:, place] + silence, bounds=(0, 255)
    )
    pixels = subject.pixels[None].astype(np.float32)
    word = foolbox.criteria.Misclassification(tf.constant([subject.words[place]], tf.int64))
    many: Any = {
        "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
        "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
    }[norm](rel_stepsize=2.5 / 3, steps=3, random_start=False)
    one: Any = {"linf": foolbox.attacks.FGSM, "l2": foolbox.attacks.FGM}[norm]()
    attack = Attack(subject, FlipWord(subject, place), MOST)

    first = fgsm(attack.slope, attack.pixels, epsilon, norm)
    *_, last = attack.steps(norm, epsilon, 3, np.zeros_like(pixels))

    # Not 1: LiteRT computes a little otherwise, and signs turn where a gradient is next to 0, the
    # more often the more steps.
    for ours, theirs, apart in ((first, one, 0.02), (last, many, 0.08)):
        attacked = theirs.run(model, tf.constant(pixels), word, epsilon=epsilon)
        expected = np.asarray(attacked) - pixels
        along = float(np.sum(ours * expected) / np.sum(expected**2))
        assert along == pytest.approx(1, abs=apart)


@pytest.mark.parametrize("norm", NORMS)
def test_what_changes_the_caption_does_and_hardly_less_does_not(
    said_by_search: Subject, norm: Norm
) -> None:
    subject = said_by_search
    attack = Attack(subject, ChangeCaption(subject), MOST)

    one_step = finish(attack.fgsm(norm))
    several = finish(attack.pgd(norm, 4, one_step))

    assert one_step and several
    assert several.epsilon <= one_step.epsilon
    for found in (one_step, several):
        stays_inside(attack, found, norm)
        assert said(subject, found.perturbation) == list(found.tokens) != list(subject.words)
    less = fgsm(attack.slope, attack.pixels, one_step.epsilon / 1.3, norm)
    assert said(subject, less) == list(subject.words)


def test_to_say_what_the_search_finds_anyway_is_no_change(subjects: list[Subject]) -> None:
    # The subject's caption is the beginning of that.
    subject = min(subjects, key=lambda subject: len(subject.words))
    aim = ChangeCaption(subject)

    assert aim.found != subject.words
    assert not aim.look(subject.grid).reached


def test_a_word_is_flipped_in_its_place(subject: Subject) -> None:
    likeliest = subject.told.alternative_tokens[:, 0]
    place = int(max(np.flatnonzero(likeliest[: len(subject.words)] == subject.words)))
    attack = Attack(subject, FlipWord(subject, place), MOST)

    found = finish(attack.pgd("linf", 4, finish(attack.fgsm("linf"))))

    assert found and found.epsilon > 0
    grid = subject.model.encode_pixels(subject.pixels + found.perturbation)
    told = subject.model.retell(grid, [subject.tokens])
    assert told.alternative_tokens[0, place, 0] == found.tokens[0] != subject.words[place]
    stays_inside(attack, found, "linf")


def test_a_word_that_is_not_the_likeliest_needs_no_attack(subject: Subject) -> None:
    told = subject.told.alternative_tokens[0]
    likeliest, other = int(told[0]), int(told[1])
    swapped = Subject(subject.model, subject.image, (other, *subject.tokens[1:]))

    found = finish(Attack(swapped, FlipWord(swapped, 0), MOST).fgsm("l2"))

    assert found and found.epsilon == 0
    assert found.tokens == (likeliest,)
    assert not found.perturbation.any()


def test_a_caption_loses_a_word(said_by_search: Subject) -> None:
    subject = said_by_search
    words = subject.model.captioner.vocabulary.words
    lost = subject.words[-1]
    attack = Attack(subject, LoseWord(subject, words[lost]), MOST)

    found = finish(attack.pgd("linf", 6, finish(attack.fgsm("linf"))))

    assert found
    assert lost not in said(subject, found.perturbation)
    stays_inside(attack, found, "linf")


def test_a_caption_is_made_to_say_a_word(said_by_search: Subject) -> None:
    subject = said_by_search
    words = subject.model.captioner.vocabulary.words
    told = subject.told.alternative_tokens[0]
    wanted = next(int(word) for word in told if word > END and word not in subject.words)
    attack = Attack(subject, SayWord(subject, words[wanted]), MOST)

    found = finish(attack.pgd("linf", 6))

    assert found
    assert wanted in said(subject, found.perturbation)
    stays_inside(attack, found, "linf")


def test_words_that_cannot_be_said_or_lost_are_named(model: CaptionModel, subject: Subject) -> None:
    words = model.captioner.vocabulary.words
    there = words[subject.words[0]]
    elsewhere = next(word for token, word in enumerate(words[4:], 4) if token not in subject.words)

    with pytest.raises(ValueError, match="does not know the word 'xylophonist'"):
        SayWord(subject, "xylophonist")
    with pytest.raises(ValueError, match="does not know the word '<end>'"):
        LoseWord(subject, "<end>")
    with pytest.raises(ValueError, match=f"says '{there}' already"):
        SayWord(subject, there)
    with pytest.raises(ValueError, match=f"does not say '{elsewhere}'"):
        LoseWord(subject, elsewhere)


def test_nothing_found_is_told_as_such(said_by_search: Subject) -> None:
    class Never(ChangeCaption):
        def look(self, grid: Array) -> Any:
            return super().look(grid)._replace(reached=False)

    attack = Attack(said_by_search, Never(said_by_search), 1.0)

    assert finish(attack.fgsm("linf")) is None
    assert finish(attack.pgd("linf", 1)) is None
