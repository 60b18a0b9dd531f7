"""The encoder against the published implementation's stored outputs.

`oracle/make_encoder_oracle.py` made them.
"""

import keras
import numpy as np
import pytest

from models.checkpoint import DEFAULT, load
from models.encoders.efficientnet_lite import VARIANTS, efficientnet_lite
from models.encoders.pretrained import assign
from tests.models.oracle.encoder import made_state, stored
from tests.models.oracle.made_weights import made_picture


def expect_stored_grid(encoder: keras.Model, side: int, case: str) -> None:
    grid = np.asarray(encoder(made_picture(side)[None]))[0]

    np.testing.assert_allclose(grid[..., ::16], stored(f"{case}/cells"), atol=1e-3)
    np.testing.assert_allclose(grid.mean(axis=(0, 1)), stored(f"{case}/pooled"), atol=1e-3)


# 64 is even down to the grid, 65 odd; 260 is lite2's own size and has both on the way. SAME
# padding differs between the two, and so does where a stride of 2 begins.
@pytest.mark.parametrize(
    ("variant", "side"),
    [
        ("efficientnet-lite0", 64),
        ("efficientnet-lite0", 65),
        ("efficientnet-lite1", 64),
        ("efficientnet-lite2", 65),
        ("efficientnet-lite2", 260),
    ],
)
def test_grid_is_the_published_implementations(variant: str, side: int) -> None:
    encoder = efficientnet_lite(variant, side)
    assign(encoder, made_state(variant))

    assert encoder.output_shape == (None, -(-side // 32), -(-side // 32), 1280)
    expect_stored_grid(encoder, side, f"{variant}-{side}")


def test_shipped_encoder_still_sees_much_as_the_published_one_does() -> None:
    captioner, _ = load(DEFAULT)

    grid = np.asarray(captioner.encoder(made_picture(260)[None]))[0]

    # Its last blocks were fine-tuned, with its classifier's answers held.
    alike = np.corrcoef(grid.mean(axis=(0, 1)), stored("published/pooled"))[0, 1]
    assert 0.9 < alike < 0.9999


def test_own_image_size_is_the_default() -> None:
    assert efficientnet_lite("efficientnet-lite0").input_shape == (None, 224, 224, 3)
    assert VARIANTS["efficientnet-lite2"].image_size == 260


def test_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"'efficientnet-lite9'.*efficientnet-lite0"):
        efficientnet_lite("efficientnet-lite9")
