"""Tests of the thresholds of tags."""

from typing import Any

import numpy as np
import pytest

from models.calibration.tag_thresholds import NEVER, find_thresholds
from models.tag_kinds import tag_kinds

NAMES = [kind.name for kind in tag_kinds()]
COMMON, WRONG = "dog", "hat"
RARE = ("cup", "tent", "pizza", "canoe", "clock", "banana", "racket", "tractor", "zebra", "piano")
"""They share no word, so that each may be shown beside the others."""


class Images:
    """Images with tags of chosen probabilities."""

    def __init__(self) -> None:
        self.probabilities: list[Any] = []
        self.mentioned: list[Any] = []
        self.parts: list[int] = []

    def add(self, name: str, probability: float, mentions: list[bool], part: int = 0) -> None:
        """Add an image for each mention, with this tag alone."""
        for mention in mentions:
            self.probabilities.append(np.where(np.array(NAMES) == name, probability, 0.0))
            self.mentioned.append((np.array(NAMES) == name) & mention)
            self.parts.append(part)

    def thresholds(self, precision: float) -> tuple[float, dict[str, float]]:
        """Find the thresholds."""
        probabilities, mentioned = np.array(self.probabilities), np.array(self.mentioned)
        return find_thresholds(probabilities, mentioned, np.array(self.parts), precision)


@pytest.fixture
def images() -> Images:
    """A common tag that is always right, and rare ones that are right above 0.8 only."""
    images = Images()
    images.add(COMMON, 0.5, [True] * 200)
    for name in RARE:
        images.add(name, 0.6, [True, False])
        images.add(name, 0.82, [True, True])
    return images


def test_a_common_tag_does_not_set_the_threshold_of_others(images: Images) -> None:
    default, own = images.thresholds(0.85)

    # By the plain precision of all tags, 220 of 240, the lowest threshold would do for all.
    assert default == 0.61
    assert own[COMMON] < 0.5
    assert not set(own) & set(RARE)


def test_a_tag_that_is_often_wrong_is_never_shown(images: Images) -> None:
    images.add(WRONG, 0.97, [True, False] * 2)

    assert images.thresholds(0.85)[1][WRONG] == NEVER


def test_a_few_mistakes_do_not_hide_a_tag(images: Images) -> None:
    images.add("train", 0.97, [True, True, True, True, False])
    images.add("bus", 0.97, [False])

    default, own = images.thresholds(0.8)

    assert own.get("train", default) < 0.97
    # (0 + 5 times the precision of the others) / (1 + 5), so at a higher threshold if at all.
    assert own["bus"] > default


def test_a_tag_must_be_precise_on_each_dataset(images: Images) -> None:
    images.add(COMMON, 0.5, [False] * 10, part=1)
    images.add(COMMON, 0.7, [True] * 10, part=1)

    default, own = images.thresholds(0.85)

    assert own.get(COMMON, default) >= 0.51


def test_precision_that_is_never_reached_is_an_error(images: Images) -> None:
    with pytest.raises(ValueError, match="--precision"):
        images.thresholds(1.0 + 1e-6)
