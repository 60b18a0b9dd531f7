"""Planes of frames."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.video.frame import blank, planes


@settings(deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 200))
def test_planes_are_the_frame_s_own_samples(width: int, height: int) -> None:
    frame = blank(width, height)
    y, u, v = planes(frame)
    assert y.shape == (height, width)
    assert u.shape == v.shape == ((height + 1) // 2, (width + 1) // 2)
    y[:], u[:], v[:] = 81, 90, 240
    assert {int(plane.min()) for plane in planes(frame)} == {81, 90, 240}
    # Red, as ITU-R BT.601 codes it; swscale works on whole pairs of samples only.
    if width > 1 and height > 1:
        red = frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
        assert red == pytest.approx((254, 0, 0), abs=3)


def test_lines_may_be_padded() -> None:
    frame = av.VideoFrame(33, 7, "yuv420p")
    assert frame.planes[0].line_size > 33
    y, _, _ = planes(frame)
    y[:] = np.arange(7)[:, None]
    assert (planes(frame)[0] == np.arange(7)[:, None]).all()


def test_other_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a yuv420p frame, got rgb24"):
        planes(av.VideoFrame(8, 8, "rgb24"))


def test_times_and_colours_are_taken_over() -> None:
    model = av.VideoFrame(16, 16, "yuv420p")
    model.pts, model.dts, model.duration = 7, 5, 3
    model.time_base = Fraction(1, 90)
    model.colorspace, model.color_range, model.color_trc, model.color_primaries = 1, 2, 1, 1
    frame = blank(8, 4, like=model)
    assert (frame.width, frame.height, frame.format.name) == (8, 4, "yuv420p")
    assert (frame.pts, frame.dts, frame.duration) == (7, 5, 3)
    assert frame.time_base == Fraction(1, 90)
    assert (frame.colorspace, frame.color_range) == (1, 2)
    assert (frame.color_trc, frame.color_primaries) == (1, 1)


def test_a_model_without_times_gives_none() -> None:
    frame = blank(8, 4, like=av.VideoFrame(16, 16, "yuv420p"))
    assert frame.pts is None
    assert frame.time_base is None
