import numpy as np

from inference.captioning.model import RecentGrids


def picture(level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((4, 6, 3), level, np.uint8)


def test_the_grids_of_the_newest_pictures_are_kept_and_no_others() -> None:
    recent = RecentGrids()
    for level in range(20):
        recent.keep(picture(level), np.full((1, 1, 1), level, np.float32))
        recent.keep(picture(0), np.zeros((1, 1, 1), np.float32))

    kept = [level for level in range(20) if recent.find(picture(level)) is not None]
    assert kept == [0, *range(13, 20)]
    for level in kept:
        grid = recent.find(picture(level))
        assert grid is not None
        assert grid.item() == level


def test_only_a_picture_of_the_same_pixels_and_shape_is_found() -> None:
    recent = RecentGrids()
    recent.keep(picture(3), np.zeros((1, 1, 1), np.float32))

    other = picture(3).copy()
    other[3, 5, 2] += 1
    assert recent.find(other) is None
    assert recent.find(picture(3).reshape(6, 4, 3)) is None
    assert recent.find(picture(3).copy()) is not None
