"""Tests of the recent frames that show something new."""

from collections.abc import Sequence

import numpy as np
import pytest

from stream.captioning.stillness import MAX_RECENT_FRAMES, SIDE, RecentFrames, Thumbnail

RANDOM = np.random.default_rng(0)


def scene() -> Thumbnail:
    """Return the thumbnail of a new scene."""
    return np.asarray(RANDOM.uniform(-90, 90, (SIDE, SIDE, 3)), np.float32)


def offer(frames: RecentFrames, scenes: Sequence[Thumbnail], times: Sequence[float]) -> None:
    """Offer an image of each scene; all samples of an image are its index."""
    for index, (small, at_s) in enumerate(zip(scenes, times, strict=True)):
        frames.offer(np.full((8, 8, 3), index % 256, np.uint8), small, at_s)


def kept(frames: RecentFrames) -> list[int]:
    return [int(image[0, 0, 0]) for image in frames.images()]


@pytest.fixture
def frames() -> RecentFrames:
    return RecentFrames()


def test_new_scenes_are_kept_in_order(frames: RecentFrames) -> None:
    offer(frames, [scene(), scene(), scene()], [0, 2, 4.5])

    assert kept(frames) == [0, 1, 2]
    assert len(frames) == 3


def test_frames_in_quick_succession_are_skipped(frames: RecentFrames) -> None:
    offer(frames, [scene() for _ in range(5)], [0, 1, 1.9, 2.5, 3])

    assert kept(frames) == [0, 3]


def test_frames_that_show_nothing_new_are_skipped(frames: RecentFrames) -> None:
    first, second = scene(), scene()
    offer(frames, [first, first + 3, second, first], [0, 100, 200, 300])

    assert kept(frames) == [0, 2, 3]


def test_the_number_of_frames_is_limited_and_clear_drops_all(frames: RecentFrames) -> None:
    number = MAX_RECENT_FRAMES + 7
    offer(frames, [scene() for _ in range(number)], [2.0 * index for index in range(number)])

    assert kept(frames) == list(range(7, number))
    before = frames.images()
    frames.clear()
    assert len(frames) == 0
    assert frames.images() == ()
    assert len(before) == MAX_RECENT_FRAMES
