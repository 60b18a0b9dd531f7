import matplotlib
import numpy as np

from inference.explanations.colours import ANCHORS, COLOURS, LEVELS, MOST_OPAQUE, OPACITIES


def test_the_ramp_is_plasma() -> None:
    plasma = np.array(matplotlib.colormaps["plasma"].colors) * 255  # type: ignore[attr-defined]

    assert COLOURS.shape == (LEVELS, 3)
    assert np.abs(COLOURS - plasma).max() < 6
    assert tuple(COLOURS[0]) == (0x0D, 0x08, 0x87)
    assert tuple(COLOURS[-1]) == tuple(ANCHORS[-1].to_bytes(3))


def test_lightness_grows_so_that_the_colour_blind_read_it_too() -> None:
    luma = COLOURS @ np.array([0.2126, 0.7152, 0.0722])

    assert (np.diff(luma[::8]) > 0).all()


def test_what_mattered_little_is_seen_as_it_is() -> None:
    assert OPACITIES.shape == (LEVELS,)
    assert OPACITIES[0] == 0
    assert OPACITIES[-1] == np.float32(MOST_OPAQUE) < 1
    assert (np.diff(OPACITIES) > 0).all()
