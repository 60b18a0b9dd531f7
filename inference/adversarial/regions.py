"""Attacks confined to one segment of the picture: which of them alone can flip a word."""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.aims import FlipWord
from inference.adversarial.attack import Array
from inference.explanations.subject import Subject
from models.attacks import fgsm

_AT_ONCE = 4
"""Segments that are attacked between two yields."""


def flipping_segments(
    subject: Subject,
    place: int,
    slope: Array,
    labels: NDArray[np.int32],
    epsilon: float,
) -> Generator[None, None, tuple[int, ...]]:
    """Attack a word in each segment apart, by one step of the fast gradient sign method in L-inf.

    A lower bound: another step might flip the word in more of them.

    Args:
        subject: The picture and its caption.
        place: Of the word.
        slope: The gradient of the word's `FlipWord` at the clean picture, [1, S, S, 3].
        labels: [S, S]: the segment of each pixel, from 0.
        epsilon: Inside the segment; outside it nothing changes.

    Yields:
        Before every few segments.

    Returns:
        Labels of the segments in which the attack makes another word likelier.
    """
    aim = FlipWord(subject, place)
    pixels = subject.pixels[None].astype(np.float32)
    flipping: list[int] = []
    count = int(labels.max()) + 1
    for first in range(0, count, _AT_ONCE):
        yield
        segments = np.arange(first, min(first + _AT_ONCE, count))
        masks = (labels == segments[:, None, None])[..., None].astype(np.float32)
        perturbations = fgsm(slope * masks, np.repeat(pixels, len(masks), axis=0), epsilon, "linf")
        grids = subject.model.encode_pixels(pixels + perturbations)
        flipped = aim.likeliest(grids) != subject.tokens[place]
        flipping += segments[flipped].tolist()
    return tuple(flipping)


def outline(pixels: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Draw the borders of segments [S, S] into a picture, uint8 [S, S, 3].

    Black on one side and white on the other, so that they are seen on any colour.
    """
    drawn = pixels.copy()
    for axis in (0, 1):
        picture, label = (np.moveaxis(each, axis, 0) for each in (drawn, labels))
        border = label[1:] != label[:-1]
        picture[1:][border] = 255
        picture[:-1][border] = 0
    return drawn
