"""Attacks confined to a segment, and the noise that attacks are compared with."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.adversarial.aims import ChangeCaption, FlipWord
from inference.adversarial.attack import Attack
from inference.adversarial.comparison import Said, Saying
from inference.adversarial.curve import noise_of
from inference.adversarial.word_attacks import flipping_segments, outline
from inference.explanations.subject import Subject
from inference.progress import finish
from models.attacks import Norm, norms

EPSILON = 8.0


@pytest.fixture(scope="module")
def labels(subject: Subject) -> NDArray[np.int32]:
    """Five upright stripes."""
    side = subject.pixels.shape[0]
    return np.broadcast_to(np.arange(side) * 5 // side, (side, side)).astype(np.int32)


def test_a_segment_flips_a_word_if_changing_it_alone_does(
    subjects: list[Subject], labels: NDArray[np.int32]
) -> None:
    verdicts = []
    for subject in subjects[:2]:
        for place in range(len(subject.words)):
            attack = Attack(subject, FlipWord(subject, place), 64.0)
            if attack.clean.reached:
                continue
            found = finish(flipping_segments(subject, place, attack.slope, labels, EPSILON))
            for segment in range(5):
                changed = attack.pixels.copy()
                there = labels == segment
                changed[:, there] += EPSILON * np.sign(attack.slope[:, there])
                grid = subject.model.encode_pixels(np.clip(changed, 0, 255))
                told = subject.model.retell(grid, [subject.tokens])
                flipped = told.alternative_tokens[0, place, 0] != subject.words[place]
                assert flipped == (segment in found)
                verdicts.append(flipped)
    assert 0 < sum(verdicts) < len(verdicts)


def test_segments_are_outlined(labels: NDArray[np.int32]) -> None:
    side = len(labels)
    grey = np.full((side, side, 3), 100, np.uint8)

    drawn = outline(grey, labels)

    steps = np.flatnonzero(np.diff(labels[0]))
    assert (drawn[:, steps] == 0).all() and (drawn[:, steps + 1] == 255).all()
    assert (drawn != 100).any(axis=(0, 2)).sum() == 2 * len(steps)


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 3.0), ("l2", 900.0)])
def test_noise_is_as_large_as_the_attack_that_it_is_compared_with(
    subject: Subject, norm: Norm, epsilon: float
) -> None:
    seen: list[NDArray[np.float32]] = []

    class Noting(Saying):
        def of(self, pixels: NDArray[np.float32]) -> Said:
            seen.append(pixels)
            return super().of(pixels)

    clean = subject.pixels[None].astype(np.float32)
    saying = Noting(subject, ChangeCaption(subject))
    said = finish(noise_of(clean, saying, epsilon, norm, 3, np.random.default_rng(0)))

    noisy = np.concatenate(seen)
    assert len(noisy) == len(said.captions) == len(said.changes) == len(said.log_probs) == 3
    assert norms(noisy - clean, norm) == pytest.approx([epsilon] * 3, rel=1e-3)
    assert noisy.min() >= 0 and noisy.max() <= 255
    told = subject.model.retell(subject.model.encode_pixels(noisy), [subject.tokens] * 3)
    np.testing.assert_allclose(
        said.log_probs, np.asarray(told.log_probs)[:, : len(subject.words)], atol=1e-5
    )
