"""Tests of the heat map on the annotated video."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.explanations.heatmap import COLORMAP, OPACITIES
from inference.explanations.map import Map
from stream.video.frame import yuv_planes
from stream.video.heatmap_overlay import HeatmapOverlay
from tests.stream.video.test_caption_overlay import flat, noise

SIZES = [(32, 24), (320, 240), (641, 481), (640, 479), (1, 1), (1080, 1920)]


def one_cell(rows: int = 9, columns: int = 9, row: int = 4, column: int = 4) -> Map:
    values = np.zeros((rows, columns), np.float32)
    values[row, column] = 3.0
    return Map(values)


def yuv_of(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert to BT.601 in video range, by its defining coefficients."""
    r, g, b = rgb / 255
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.array([16 + 219 * y, 128 + 224 * (b - y) / 1.772, 128 + 224 * (r - y) / 1.402])


def test_the_frame_is_unchanged_where_the_map_is_zero() -> None:
    frame = noise(640, 480)
    drawn = HeatmapOverlay().draw(frame, one_cell(row=0, column=0))

    for plane, source in zip(yuv_planes(drawn), yuv_planes(frame), strict=True):
        half_rows, half_columns = (side // 2 for side in source.shape)
        assert np.array_equal(plane[half_rows:], source[half_rows:])
        assert np.array_equal(plane[:, half_columns:], source[:, half_columns:])
        assert not np.array_equal(plane, source)


@pytest.mark.parametrize("size", SIZES)
def test_a_uniform_map_covers_the_frame_with_the_peaks_colour(
    size: tuple[int, int],
) -> None:
    before = (110, 90, 160)
    drawn = HeatmapOverlay().draw(flat(*size, *before), Map(np.full((3, 5), 0.01, np.float32)))

    opacity = OPACITIES[-1]
    expected = (1 - opacity) * np.array(before) + opacity * yuv_of(COLORMAP[-1])
    for plane, value in zip(yuv_planes(drawn), expected, strict=True):
        assert np.abs(plane.astype(float) - value).max() <= 1.5


@pytest.mark.parametrize("level", [1, 64, 128, 200])
def test_colour_and_opacity_follow_the_value_relative_to_the_peak(level: int) -> None:
    values = np.full((1, 8), level, np.float32)
    values[0, -1] = 255
    frame = flat(800, 100)
    drawn = HeatmapOverlay().draw(frame, Map(values))

    opacity = OPACITIES[level]
    expected = (1 - opacity) * np.array([110, 90, 160]) + opacity * yuv_of(COLORMAP[level])
    for plane, value in zip(yuv_planes(drawn), expected, strict=True):
        assert np.abs(plane[:, : plane.shape[1] // 2].astype(float) - value).max() <= 1.5


@pytest.mark.parametrize("size", [(640, 480), (641, 481), (480, 640)])
def test_the_peak_is_drawn_over_its_cell_and_the_map_is_smooth(size: tuple[int, int]) -> None:
    width, height = size
    drawn = HeatmapOverlay().draw(flat(width, height, y=40), one_cell(row=2, column=6))
    for plane, before in zip(yuv_planes(drawn), (40, 90, 160), strict=True):
        change = np.abs(plane.astype(float) - before)
        rows, columns = np.nonzero(change > 0.9 * change.max())
        assert abs(rows.mean() / plane.shape[0] - 2.5 / 9) < 0.01
        assert abs(columns.mean() / plane.shape[1] - 6.5 / 9) < 0.01
    steps = np.abs(np.diff(yuv_planes(drawn)[0].astype(int), axis=1))
    assert steps.max() < 20


def test_colours_match_the_colour_map_after_conversion_to_rgb() -> None:
    frame = flat(64, 64, y=16, u=128, v=128)
    drawn = HeatmapOverlay().draw(frame, Map(np.ones((2, 2), np.float32)))

    rgb = drawn.to_ndarray(format="rgb24")[32, 32].astype(float)
    assert np.abs(rgb - COLORMAP[-1] * OPACITIES[-1]).max() < 6


@pytest.mark.parametrize("heatmap", [None, Map(np.zeros((9, 9), np.float32))])
def test_no_map_or_an_empty_one_draws_nothing(heatmap: Map | None) -> None:
    overlay, frame = HeatmapOverlay(), noise(320, 240)

    assert overlay.is_prepared(heatmap, 320, 240)
    assert overlay.draw(frame, heatmap) is frame


def test_the_source_frame_is_not_changed_and_timestamps_are_kept() -> None:
    frame = noise(320, 240)
    before = [plane.copy() for plane in yuv_planes(frame)]
    drawn = HeatmapOverlay().draw(frame, one_cell())

    assert (drawn.pts, drawn.time_base) == (frame.pts, frame.time_base)
    for plane, source in zip(yuv_planes(frame), before, strict=True):
        assert np.array_equal(plane, source)


def test_other_pixel_formats_are_supported() -> None:
    frame = flat(64, 48).reformat(format="rgb24")

    assert HeatmapOverlay().draw(frame, one_cell()).format.name == "yuv420p"


def test_a_map_is_prepared_for_each_size_and_few_are_kept() -> None:
    overlay, maps = HeatmapOverlay(), [one_cell(row=row) for row in range(3)]
    for heatmap in maps:
        assert not overlay.is_prepared(heatmap, 64, 48)
        overlay.prepare(heatmap, 64, 48)
        assert overlay.is_prepared(heatmap, 64, 48)
        assert not overlay.is_prepared(heatmap, 48, 64)

    assert not overlay.is_prepared(maps[0], 64, 48)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 65),
    st.integers(1, 65),
    st.sampled_from([1e-40, 1e-9, 1.0, 1e30]),
)
def test_any_map_on_any_frame_stays_in_video_range(
    width: int, height: int, rows: int, columns: int, peak: float
) -> None:
    generator = np.random.default_rng(rows * columns)
    values = (generator.random((rows, columns)) * peak).astype(np.float32)
    for value in (16, 235):
        drawn = HeatmapOverlay().draw(flat(width, height, value, 128, 128), Map(values))
        luma = yuv_planes(drawn)[0]
        assert (luma.min(), luma.max()) >= (16, 16)
        assert luma.max() <= 235


def test_lightness_rises_with_the_value_for_colour_blind_readers() -> None:
    lightness = cv2.cvtColor(COLORMAP[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0, :, 0]

    assert (np.diff(lightness) > -0.3).all()
    assert lightness[-1] - lightness[0] > 60
    assert (np.diff(OPACITIES) > 0).all()
    assert OPACITIES[0] == 0
