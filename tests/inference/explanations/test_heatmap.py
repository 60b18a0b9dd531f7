import re
from pathlib import Path

import matplotlib
import numpy as np

from inference.explanations.heatmap import (
    COLORMAP,
    COLOUR_STOPS,
    LEVELS,
    MAX_OPACITY,
    OPACITIES,
    paint,
)
from inference.explanations.map import Map

PAGE_COLORMAP = Path(__file__).parents[3] / "web" / "static" / "js" / "heatmaps" / "colormap.js"
IMAGE = np.full((90, 180, 3), 100, np.uint8)


def test_the_page_has_the_same_colour_map() -> None:
    script = PAGE_COLORMAP.read_text(encoding="utf-8")
    stops = re.findall(r"\[(\d+), (\d+), (\d+)\],", script)
    opacity = re.search(r"MOST_OPAQUE = ([\d.]+)", script)

    assert [bytes(map(int, stop)) for stop in stops] == [stop.to_bytes(3) for stop in COLOUR_STOPS]
    assert opacity and float(opacity[1]) == MAX_OPACITY


def test_the_colour_map_is_viridis() -> None:
    viridis = np.array(matplotlib.colormaps["viridis"].colors) * 255  # type: ignore[attr-defined]

    assert COLORMAP.shape == (LEVELS, 3)
    # Interpolated between nine of its colours.
    assert np.abs(COLORMAP - viridis).max() < 20
    assert np.abs(COLORMAP - viridis).mean() < 3
    assert tuple(COLORMAP[0]) == (0x44, 0x01, 0x54)
    assert tuple(COLORMAP[-1]) == tuple(COLOUR_STOPS[-1].to_bytes(3))


def test_lightness_grows_with_the_level() -> None:
    luma = COLORMAP @ np.array([0.2126, 0.7152, 0.0722])

    assert (np.diff(luma[::8]) > 0).all()


def test_opacity_grows_with_the_level() -> None:
    assert OPACITIES.shape == (LEVELS,)
    assert OPACITIES[0] == 0
    assert OPACITIES[-1] == np.float32(MAX_OPACITY) < 1
    assert (np.diff(OPACITIES) > 0).all()


def one_cell(row: int, column: int, value: float = 2.5) -> Map:
    values = np.zeros((9, 9), np.float32)
    values[row, column] = value
    return Map(values)


def test_an_all_zero_map_leaves_the_image_unchanged() -> None:
    painted = paint(IMAGE, Map(np.zeros((9, 9), np.float32)))

    np.testing.assert_array_equal(painted, IMAGE)


def test_the_peak_has_the_last_colour_and_lies_in_its_cell() -> None:
    painted = paint(IMAGE, one_cell(2, 7))

    expected = COLORMAP[-1] * MAX_OPACITY + 100 * (1 - MAX_OPACITY)
    rows, columns = np.nonzero(np.abs(painted - expected).max(axis=-1) < 12)
    assert (rows.min() >= 20) & (rows.max() < 30)
    assert (columns.min() >= 140) & (columns.max() < 160)
    np.testing.assert_allclose(painted[25, 150], expected, atol=6)


def test_far_from_the_peak_the_image_is_unchanged() -> None:
    painted = paint(IMAGE, one_cell(2, 7))

    np.testing.assert_array_equal(painted[50:], IMAGE[50:])
    np.testing.assert_array_equal(painted[:, :100], IMAGE[:, :100])


def test_maps_are_scaled_to_their_peak() -> None:
    np.testing.assert_array_equal(
        paint(IMAGE, one_cell(4, 4, 1e-6)), paint(IMAGE, one_cell(4, 4, 1e6))
    )


def test_a_map_may_be_finer_than_the_image() -> None:
    values = np.zeros((400, 400), np.float32)
    values[:200] = 1

    painted = paint(IMAGE, Map(values))

    assert (painted[:44] != 100).any(axis=-1).all()
    np.testing.assert_array_equal(painted[46:], IMAGE[46:])
