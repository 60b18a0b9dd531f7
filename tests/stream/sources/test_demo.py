"""The demo clip."""

import itertools
import threading
import time

import av
import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream.sources.demo import SHOT_S, SHOTS, Crop, DemoSource
from stream.video.frame import yuv_planes


def luma(frame: av.VideoFrame) -> NDArray[np.float32]:
    return yuv_planes(frame)[0].astype(np.float32)


def difference(one: av.VideoFrame, other: av.VideoFrame) -> float:
    return float(abs(luma(one) - luma(other)).mean())


@pytest.mark.parametrize("size", [(640, 480), (160, 120), (480, 640), (321, 241)])
def test_frames_have_the_given_size(size: tuple[int, int]) -> None:
    frame = DemoSource(*size).frame_at(1.0)
    assert (frame.width, frame.height) == size
    assert frame.format.name == "yuv420p"


def test_a_position_always_gives_the_same_frame() -> None:
    one, other = DemoSource(160, 120), DemoSource(160, 120)
    later = one.frame_at(7.0)
    for plane, again in zip(yuv_planes(later), yuv_planes(other.frame_at(7.0)), strict=True):
        assert np.array_equal(plane, again)
    assert difference(later, one.frame_at(7.0 + SHOT_S * len(SHOTS))) == 0.0


def test_every_shot_moves_and_is_cut_hard() -> None:
    source = DemoSource(320, 240)
    for number in range(len(SHOTS)):
        start = number * SHOT_S
        step = difference(source.frame_at(start + 3.0), source.frame_at(start + 3.04))
        cut = difference(source.frame_at(start + SHOT_S - 0.02), source.frame_at(start + SHOT_S))
        assert 0.0 < step < 12.0
        assert cut > 3 * step
        assert cut > 20.0


def test_the_camera_moves_steadily() -> None:
    source = DemoSource()
    window = cv2.createHanningWindow((640, 480), cv2.CV_32F)
    for number in range(len(SHOTS)):
        frames = [luma(source.frame_at(number * SHOT_S + 2 + n / 25)) for n in range(12)]
        shifts = np.array(
            [cv2.phaseCorrelate(one, two, window)[0] for one, two in itertools.pairwise(frames)]
        )
        assert np.ptp(shifts, axis=0).max() < 0.25, SHOTS[number].file


@pytest.mark.parametrize("number", range(len(SHOTS)))
def test_the_photographs_are_shown(number: int) -> None:
    shot = SHOTS[number]
    photograph = getattr(skimage.data, shot.file.partition(".")[0])()
    height, width, _ = photograph.shape
    left, top, size = (round(edge) for edge in shot.first.to_pixels(width, height, 4 / 3))
    part = photograph[top : top + size * 3 // 4, left : left + size]
    expected = cv2.resize(part, (640, 480), interpolation=cv2.INTER_CUBIC)
    shown = DemoSource().frame_at(number * SHOT_S).to_ndarray(format="rgb24")
    # Blurred, because chroma subsampling loses fine detail.
    differences = cv2.blur(shown, (5, 5)).astype(int) - cv2.blur(expected, (5, 5))
    assert abs(differences).mean() < 3.0


@settings(deadline=None)
@given(
    progress=st.floats(0, 1),
    width=st.integers(16, 3000),
    height=st.integers(16, 3000),
    aspect=st.floats(0.3, 3.0),
)
def test_no_crop_exceeds_its_photograph(
    progress: float, width: int, height: int, aspect: float
) -> None:
    for shot in SHOTS:
        first = np.array(shot.first.to_pixels(width, height, aspect))
        last = np.array(shot.last.to_pixels(width, height, aspect))
        left, top, size = first + (last - first) * progress
        assert left >= -1e-6
        assert top >= -1e-6
        assert left + size <= width + 1e-6
        assert top + size / aspect <= height + 1e-6


def test_crops_convert_to_pixels() -> None:
    assert Crop(2.0, 0.0, 1.0).to_pixels(400, 300, 4 / 3) == pytest.approx((0.0, 150.0, 200.0))
    assert Crop(1.0, 1.0, 0.0).to_pixels(600, 300, 1.0) == pytest.approx((300.0, 0.0, 300.0))


def test_frames_arrive_in_real_time() -> None:
    source = DemoSource(64, 48, rate=50)
    started = time.time()
    frames = source.frames()
    taken = [next(frames) for _ in range(10)]
    ended = time.time()
    source.close()
    assert source.live
    positions = [frame.position_s for frame in taken]
    assert positions == sorted(set(positions))
    assert ended - started >= 9 / 50 * 0.99
    for frame in taken:
        assert frame.image.time == pytest.approx(frame.position_s)
        assert started - 0.01 <= frame.captured <= ended
        assert difference(frame.image, source.frame_at(frame.position_s)) == 0.0


def test_frames_are_skipped_for_a_slow_reader() -> None:
    with DemoSource(64, 48, rate=200) as source:
        frames = source.frames()
        first = next(frames)
        time.sleep(0.2)
        second = next(frames)
    assert second.position_s - first.position_s >= 0.15


def test_closing_ends_the_frames() -> None:
    source = DemoSource(64, 48)
    started = threading.Event()

    def read() -> None:
        for _ in source.frames():
            started.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(5)
    source.close()
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert list(source.frames()) == []
