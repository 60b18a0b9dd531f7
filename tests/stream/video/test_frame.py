"""Tests of slots, of YUV planes, and of conversion compared with PyAV's own."""

import asyncio
import threading
from fractions import Fraction

import av
import cv2
import numpy as np
import psutil
import pytest
from av.video.reformatter import Interpolation
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.video.frame import Slot, blank_frame, convert_frame, yuv_planes


async def test_a_slot_returns_the_newest_item_and_counts_the_replaced_ones() -> None:
    slot: Slot[int] = Slot()
    for item in range(5):
        slot.put(item)

    assert await slot.take() == 4
    assert slot.replaced == 4


async def test_a_slot_returns_no_item_twice() -> None:
    slot: Slot[str] = Slot()
    slot.put("a")
    await slot.take()
    taking = asyncio.create_task(slot.take())
    await asyncio.sleep(0.01)
    assert not taking.done()
    slot.put("b")

    assert await taking == "b"
    assert slot.replaced == 0


async def test_a_slot_loses_no_item_to_a_cancelled_consumer() -> None:
    slot: Slot[str] = Slot()
    taking = asyncio.create_task(slot.take())
    await asyncio.sleep(0)
    taking.cancel()
    slot.put("kept")

    assert await slot.take() == "kept"


@settings(deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 200))
def test_planes_are_views_of_the_frame(width: int, height: int) -> None:
    frame = blank_frame(width, height)
    y, u, v = yuv_planes(frame)
    assert y.shape == (height, width)
    assert u.shape == v.shape == ((height + 1) // 2, (width + 1) // 2)
    y[:], u[:], v[:] = 81, 90, 240
    assert {int(plane.min()) for plane in yuv_planes(frame)} == {81, 90, 240}
    # Red in ITU-R BT.601; swscale converts only whole pairs of samples.
    if width > 1 and height > 1:
        red = frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
        assert red == pytest.approx((254, 0, 0), abs=3)


def test_lines_may_be_padded() -> None:
    frame = av.VideoFrame(33, 7, "yuv420p")
    assert frame.planes[0].line_size > 33
    y, _, _ = yuv_planes(frame)
    y[:] = np.arange(7)[:, None]
    assert (yuv_planes(frame)[0] == np.arange(7)[:, None]).all()


def test_planes_of_other_formats_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected a yuv420p frame, got rgb24"):
        yuv_planes(av.VideoFrame(8, 8, "rgb24"))


def test_timestamps_and_colour_description_are_copied() -> None:
    model = av.VideoFrame(16, 16, "yuv420p")
    model.pts, model.dts, model.duration = 7, 5, 3
    model.time_base = Fraction(1, 90)
    model.colorspace, model.color_range, model.color_trc, model.color_primaries = 1, 2, 1, 1
    frame = blank_frame(8, 4, like=model)
    assert (frame.width, frame.height, frame.format.name) == (8, 4, "yuv420p")
    assert (frame.pts, frame.dts, frame.duration) == (7, 5, 3)
    assert frame.time_base == Fraction(1, 90)
    assert (frame.colorspace, frame.color_range) == (1, 2)
    assert (frame.color_trc, frame.color_primaries) == (1, 1)


def test_absent_timestamps_stay_absent() -> None:
    frame = blank_frame(8, 4, like=av.VideoFrame(16, 16, "yuv420p"))
    assert frame.pts is None
    assert frame.time_base is None


def smooth_frame(width: int, height: int, seed: int = 0) -> av.VideoFrame:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return av.VideoFrame.from_ndarray(smooth.astype(np.uint8), "rgb24")


@pytest.mark.parametrize("pixel_format", ["yuv420p", "rgb24", "gray"])
@pytest.mark.parametrize("size", [None, (96, 64), (200, 160)])
def test_a_converted_frame_is_what_pyav_makes_of_it(
    pixel_format: str, size: tuple[int, int] | None
) -> None:
    frame = smooth_frame(160, 120)
    width, height = size or (160, 120)

    converted = convert_frame(frame, pixel_format, size)

    expected = frame.reformat(width, height, pixel_format, interpolation=Interpolation.BILINEAR)
    assert (converted.width, converted.height) == (width, height)
    assert converted.format.name == pixel_format
    np.testing.assert_array_equal(converted.to_ndarray(), expected.to_ndarray())


def test_alternating_kinds_of_conversion_do_not_affect_each_other() -> None:
    frames = [smooth_frame(160, 120, 1), smooth_frame(64, 48, 2)]
    expected = [convert_frame(frame, "yuv420p").to_ndarray() for frame in frames]

    for _ in range(3):
        small = [convert_frame(frame, "rgb24", (32, 24)) for frame in frames]
        again = [convert_frame(frame, "yuv420p").to_ndarray() for frame in frames]

        assert [(frame.width, frame.height) for frame in small] == [(32, 24)] * 2
        for array, expected_array in zip(again, expected, strict=True):
            np.testing.assert_array_equal(array, expected_array)


def test_converted_frames_hold_no_thread() -> None:
    convert_frame(smooth_frame(160, 120), "yuv420p")
    before = psutil.Process().num_threads()

    frames = [smooth_frame(160, 120, seed) for seed in range(20)]
    kept = [convert_frame(frame, "yuv420p") for frame in frames]

    assert len(kept) == len(frames)
    assert psutil.Process().num_threads() <= before


def test_reformatters_end_with_their_thread() -> None:
    before = psutil.Process().num_threads()

    for _ in range(10):
        thread = threading.Thread(target=convert_frame, args=(smooth_frame(160, 120), "yuv420p"))
        thread.start()
        thread.join()

    assert psutil.Process().num_threads() <= before + 2
