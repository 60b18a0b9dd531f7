"""Tests of converting pictures: against PyAV's own, and that nothing is kept for each of them."""

import threading

import av
import cv2
import numpy as np
import psutil
import pytest
from av.video.reformatter import Interpolation

from stream.video.frame import converted


def picture(width: int, height: int, seed: int = 0) -> av.VideoFrame:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return av.VideoFrame.from_ndarray(smooth.astype(np.uint8), "rgb24")


@pytest.mark.parametrize("pixel_format", ["yuv420p", "rgb24", "gray"])
@pytest.mark.parametrize("size", [None, (96, 64), (200, 160)])
def test_a_picture_is_what_pyav_makes_of_it(
    pixel_format: str, size: tuple[int, int] | None
) -> None:
    frame = picture(160, 120)
    width, height = size or (160, 120)

    found = converted(frame, pixel_format, size)

    wanted = frame.reformat(width, height, pixel_format, interpolation=Interpolation.BILINEAR)
    assert (found.width, found.height, found.format.name) == (width, height, pixel_format)
    np.testing.assert_array_equal(found.to_ndarray(), wanted.to_ndarray())


def test_kinds_of_conversion_by_turns_are_not_mixed_up() -> None:
    frames = [picture(160, 120, 1), picture(64, 48, 2)]
    alone = [converted(frame, "yuv420p").to_ndarray() for frame in frames]

    for _ in range(3):
        small = [converted(frame, "rgb24", (32, 24)) for frame in frames]
        again = [converted(frame, "yuv420p").to_ndarray() for frame in frames]

        assert [(frame.width, frame.height) for frame in small] == [(32, 24)] * 2
        for found, wanted in zip(again, alone, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_frames_that_live_on_keep_no_thread() -> None:
    converted(picture(160, 120), "yuv420p")
    before = psutil.Process().num_threads()

    frames = [picture(160, 120, seed) for seed in range(20)]
    kept = [converted(frame, "yuv420p") for frame in frames]

    assert len(kept) == len(frames)
    assert psutil.Process().num_threads() <= before


def test_a_thread_that_ends_takes_its_converters_along() -> None:
    before = psutil.Process().num_threads()

    for _ in range(10):
        thread = threading.Thread(target=converted, args=(picture(160, 120), "yuv420p"))
        thread.start()
        thread.join()

    assert psutil.Process().num_threads() <= before + 2
