"""Tests of the caption on the annotated video."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream.video.caption_overlay import CaptionOverlay, OverlayText
from stream.video.frame import blank_frame, yuv_planes

CAPTION = OverlayText("a man in a red shirt is climbing a wall of rock")
LONG = OverlayText("a brown dog runs through shallow water near a crowded beach " * 20)
PAUSED = "Captions are paused"
SIZES = [
    (160, 120),
    (320, 240),
    (640, 480),
    (1280, 720),
    (1920, 1080),
    (480, 640),
    (1080, 1920),
    (641, 481),
]
WHITE, BLACK = 235, 16


def flat(width: int, height: int, y: int = 110, u: int = 90, v: int = 160) -> av.VideoFrame:
    frame = blank_frame(width, height)
    for plane, value in zip(yuv_planes(frame), (y, u, v), strict=True):
        plane[:] = value
    frame.pts, frame.time_base = 4711, Fraction(1, 90_000)
    return frame


def noise(width: int, height: int) -> av.VideoFrame:
    frame = flat(width, height)
    generator = np.random.default_rng(width * height)
    for plane in yuv_planes(frame):
        plane[:] = generator.integers(16, 236, plane.shape)
    return frame


def draw(frame: av.VideoFrame, text: OverlayText) -> av.VideoFrame:
    return CaptionOverlay().draw(frame, text)


def band_top(width: int, height: int, text: OverlayText) -> int:
    """Return the first row that a caption covers."""
    frame = flat(width, height)
    changed = yuv_planes(draw(frame, text))[0] != yuv_planes(frame)[0]
    return int(np.argmax(changed.any(axis=1)))


def text_mask(width: int, height: int, text: OverlayText) -> NDArray[np.bool_]:
    """Return which samples are lighter than the band around them, on a black frame."""
    y = yuv_planes(draw(flat(width, height, y=BLACK), text))[0].astype(int)
    return y > int(y[-1, 0]) + 40


def luminance(y: int) -> float:
    """Return the relative luminance of a grey (WCAG 2.2), from its Y in video range."""
    value = min(1.0, max(0.0, (y - 16) / 219))
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: int, other: int) -> float:
    """Return the contrast ratio of two greys (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("text", [CAPTION, LONG, OverlayText("a dog", True, PAUSED)])
@pytest.mark.parametrize("size", SIZES)
def test_only_a_band_at_the_lower_edge_changes(size: tuple[int, int], text: OverlayText) -> None:
    width, height = size
    frame = noise(width, height)
    drawn = draw(frame, text)
    top = band_top(width, height, text)
    assert top % 2 == 0
    assert height * 0.45 < top < height * 0.95
    for plane, source, first in zip(
        yuv_planes(drawn), yuv_planes(frame), (top, top // 2, top // 2), strict=True
    ):
        assert np.array_equal(plane[:first], source[:first])
    covered = yuv_planes(drawn)[0][top:] != yuv_planes(frame)[0][top:]
    assert covered.mean() > 0.9


def test_the_source_frame_is_not_changed() -> None:
    frame = noise(640, 480)
    before = [plane.copy() for plane in yuv_planes(frame)]
    drawn = draw(frame, CAPTION)
    assert drawn is not frame
    for plane, copy in zip(yuv_planes(frame), before, strict=True):
        assert np.array_equal(plane, copy)
    yuv_planes(drawn)[0][:] = 0
    assert np.array_equal(yuv_planes(frame)[0], before[0])


def test_timestamps_and_colour_range_are_kept() -> None:
    frame = flat(320, 240)
    frame.color_range = 1
    drawn = draw(frame, CAPTION)
    assert (drawn.pts, drawn.time_base, drawn.color_range) == (4711, Fraction(1, 90_000), 1)
    assert drawn.format.name == "yuv420p"


@pytest.mark.parametrize("text", [OverlayText(""), OverlayText(" \n"), OverlayText("", notice="")])
def test_an_empty_text_draws_nothing(text: OverlayText) -> None:
    frame = noise(320, 240)
    drawn = draw(frame, text)
    for plane, source in zip(yuv_planes(drawn), yuv_planes(frame), strict=True):
        assert np.array_equal(plane, source)


@pytest.mark.parametrize("size", SIZES)
def test_text_is_centred_and_off_the_edges(size: tuple[int, int]) -> None:
    width, height = size
    for text in (CAPTION, LONG, OverlayText("x" * 300), OverlayText("a dog", notice=PAUSED * 4)):
        mask = text_mask(width, height, text)
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        left, right = int(columns[0]), width - 1 - int(columns[-1])
        assert min(left, right) >= 3
        assert abs(left - right) <= max(3, 0.02 * width)
        assert rows[0] > band_top(width, height, text)
        assert rows[-1] < height - 2


@pytest.mark.parametrize("size", SIZES)
def test_text_is_large_enough_to_read(size: tuple[int, int]) -> None:
    width, height = size
    rows = np.flatnonzero(text_mask(width, height, OverlayText("Hx")).any(axis=1))
    capital = int(rows[-1] - rows[0] + 1)
    assert capital >= 7
    assert 0.03 * min(size) <= capital <= 0.09 * min(size)


@pytest.mark.parametrize(("stale", "least"), [(False, 7.0), (True, 3.0)])
@pytest.mark.parametrize("background", [BLACK, 80, 126, 180, WHITE])
@pytest.mark.parametrize("size", [(160, 120), (640, 480)])
def test_text_has_enough_contrast(
    size: tuple[int, int], background: int, stale: bool, least: float
) -> None:
    # Letters with strokes wide enough to cover whole samples, over backgrounds from black to white.
    y = yuv_planes(draw(flat(*size, y=background), OverlayText("MMM HHH", stale)))[0]
    assert contrast(int(y.max(where=y != background, initial=0)), int(y[-1, 0])) >= least


def test_stale_text_is_grey() -> None:
    frame = flat(640, 480, y=BLACK)
    fresh = yuv_planes(draw(frame, OverlayText("a dog")))[0].astype(int)
    stale = yuv_planes(draw(frame, OverlayText("a dog", stale=True)))[0].astype(int)
    assert fresh.max() >= 225
    assert 150 <= stale.max() <= 200
    assert stale[-1, 0] > fresh[-1, 0] + 10


def test_a_notice_is_amber_smaller_and_above_the_caption() -> None:
    frame = flat(640, 480, y=BLACK, u=128, v=128)
    drawn = draw(frame, OverlayText("Hx", notice="Hx"))
    y, u, v = (plane.astype(int) for plane in yuv_planes(drawn))
    amber = np.flatnonzero(((u < 100) & (v > 140)).any(axis=1)) * 2
    white = np.flatnonzero((y > 225).any(axis=1))
    assert amber[-1] < white[0]
    assert 0.5 < np.ptp(amber) / np.ptp(white) < 0.95
    below = slice(int(white[0]) // 2, None)
    assert abs(u[below] - 128).max() <= 1
    assert abs(v[below] - 128).max() <= 1
    assert draw(frame, OverlayText("", notice="Hx")).height == 480
    assert band_top(640, 480, OverlayText("", notice="Hx")) > band_top(
        640, 480, OverlayText("Hx", notice="Hx")
    )


def test_the_band_is_translucent() -> None:
    width, height = 640, 480
    dark = yuv_planes(draw(flat(width, height, y=BLACK), CAPTION))[0][-1, 0]
    light = yuv_planes(draw(flat(width, height, y=WHITE), CAPTION))[0][-1, 0]
    assert 30 < int(light) - int(dark) < 110


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuv422p", "nv12", "rgb24", "gray"])
def test_other_formats_are_returned_as_yuv420p(pixel_format: str) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 255, np.uint8), format="rgb24")
    frame = frame.reformat(format=pixel_format)
    frame.pts, frame.time_base = 4711, Fraction(1, 90_000)
    drawn = draw(frame, CAPTION)
    assert drawn.format.name == "yuv420p"
    assert (drawn.pts, drawn.time_base) == (4711, Fraction(1, 90_000))
    y, u, v = yuv_planes(drawn)
    # White in video range, whatever the range of the source.
    assert abs(int(y[0, 0]) - 235) <= 1
    assert abs(int(u[0, 0]) - 128) <= 1
    assert abs(int(v[0, 0]) - 128) <= 1
    assert y[-1, 0] < 120


def test_an_overlay_draws_changing_texts_and_sizes() -> None:
    overlay, frame = CaptionOverlay(), flat(320, 240)
    other = flat(240, 320)
    texts = [
        CAPTION,
        OverlayText("a dog"),
        OverlayText("a dog", stale=True),
        CAPTION,
        LONG,
        CAPTION,
    ]
    for text in texts:
        for each in (frame, other):
            for plane, expected in zip(
                yuv_planes(overlay.draw(each, text)), yuv_planes(draw(each, text)), strict=True
            ):
                assert np.array_equal(plane, expected)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    text=st.text(max_size=200),
    notice=st.none() | st.text(max_size=60),
    stale=st.booleans(),
)
def test_any_text_on_any_size_stays_in_video_range(
    width: int, height: int, text: str, notice: str | None, stale: bool
) -> None:
    frame = noise(width, height)
    drawn = draw(frame, OverlayText(text, stale, notice))
    assert (drawn.width, drawn.height, drawn.pts) == (width, height, 4711)
    for plane, source in zip(yuv_planes(drawn), yuv_planes(frame), strict=True):
        assert plane.shape == source.shape
        assert np.array_equal(plane[: len(plane) // 8], source[: len(plane) // 8])
        assert plane.min() >= 15
        assert plane.max() <= 236
