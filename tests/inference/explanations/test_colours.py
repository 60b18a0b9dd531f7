import re
from pathlib import Path

import matplotlib
import numpy as np

from inference.explanations.rendering import ANCHORS, COLOURS, LEVELS, MOST_OPAQUE, OPACITIES

RAMP_OF_THE_PAGE = Path(__file__).parents[3] / "web" / "static" / "ramp.js"


def test_the_page_has_the_same_ramp() -> None:
    script = RAMP_OF_THE_PAGE.read_text(encoding="utf-8")
    anchors = re.findall(r"\[(\d+), (\d+), (\d+)\],", script)
    opacity = re.search(r"MOST_OPAQUE = ([\d.]+)", script)

    assert [bytes(map(int, anchor)) for anchor in anchors] == [a.to_bytes(3) for a in ANCHORS]
    assert opacity and float(opacity[1]) == MOST_OPAQUE


def test_the_ramp_is_viridis() -> None:
    viridis = np.array(matplotlib.colormaps["viridis"].colors) * 255  # type: ignore[attr-defined]

    assert COLOURS.shape == (LEVELS, 3)
    # Straight between nine of its colours.
    assert np.abs(COLOURS - viridis).max() < 20
    assert np.abs(COLOURS - viridis).mean() < 3
    assert tuple(COLOURS[0]) == (0x44, 0x01, 0x54)
    assert tuple(COLOURS[-1]) == tuple(ANCHORS[-1].to_bytes(3))


def test_lightness_grows_so_that_the_colour_blind_read_it_too() -> None:
    luma = COLOURS @ np.array([0.2126, 0.7152, 0.0722])

    assert (np.diff(luma[::8]) > 0).all()


def test_what_mattered_little_is_seen_as_it_is() -> None:
    assert OPACITIES.shape == (LEVELS,)
    assert OPACITIES[0] == 0
    assert OPACITIES[-1] == np.float32(MOST_OPAQUE) < 1
    assert (np.diff(OPACITIES) > 0).all()
