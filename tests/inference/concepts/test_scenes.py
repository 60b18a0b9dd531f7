import numpy as np

from inference.concepts.footage import scenes
from inference.concepts.tcav import of_scenes


def test_frames_that_resemble_each_other_are_one_scene() -> None:
    rng = np.random.default_rng(0)
    views = rng.random((3, 1280)) ** 4
    frames = [
        (views[view] * rng.normal(1, 0.05, 1280)).astype(np.float16)
        for view in (0, 0, 1, 1, 1, 0, 2)
    ]

    labels = scenes(frames)

    # A view that is cut back to is no new scene.
    assert labels.tolist() == [0, 0, 1, 1, 1, 0, 2]


def test_a_view_that_slowly_changes_is_one_scene() -> None:
    one, other = np.random.default_rng(1).random((2, 1280)) ** 4
    frames = [(one * (1 - part) + other * part).astype(np.float16) for part in np.linspace(0, 1, 9)]

    assert set(scenes(frames)) == {0}
    assert len(set(scenes([frames[0], frames[-1]]))) == 2


def test_a_scene_counts_once_however_many_frames_it_has() -> None:
    slopes = np.array([[1, 0], [3, 2], [5, 5]], np.float32)

    found = of_scenes(slopes, np.array([7, 7, 2], np.int32))

    np.testing.assert_array_equal(found, [[5, 5], [2, 1]])
