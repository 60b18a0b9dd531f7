import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import Attack
from inference.adversarial.goals import FlipWord
from inference.adversarial.word_attacks import flipping_segments
from inference.progress import finish
from tests.support.captioners.lstm import LstmCaptionedImage

EPSILON = 8.0


def test_segments_flip_a_word_if_changing_them_alone_does(
    subjects: list[LstmCaptionedImage], labels: NDArray[np.int32]
) -> None:
    flips = []
    for subject in subjects[:2]:
        for place in range(len(subject.words)):
            attack = Attack(subject, FlipWord(subject, place), 64.0)
            if attack.clean.reached:
                continue
            found = finish(flipping_segments(subject, place, attack.gradient, labels, EPSILON))
            for segment in range(5):
                changed = attack.pixels.copy()
                inside = labels == segment
                changed[:, inside] += EPSILON * np.sign(attack.gradient[:, inside])
                grid = subject.model.encode_pixels(np.clip(changed, 0, 255))
                rescored = subject.model.rescore(grid, [subject.tokens])
                flipped = rescored.alternative_tokens[0, place, 0] != subject.words[place]
                assert flipped == (segment in found)
                flips.append(flipped)
    assert 0 < sum(flips) < len(flips)
