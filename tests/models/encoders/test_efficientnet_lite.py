"""Tests of EfficientNet-Lite against stored outputs of the published implementation.

`tests/support/oracle/make_encoder_oracle.py` made them.
"""

import keras
import numpy as np
import pytest

from models.catalogue import SHIPPED_FOLDER
from models.checkpoint import load
from models.encoders.efficientnet_lite import VARIANTS, efficientnet_lite
from models.encoders.pretrained import assign_torch_state
from tests.support.oracle.encoder import make_state, stored
from tests.support.oracle.synthetic_weights import make_image


def expect_stored_grid(encoder: keras.Model, side: int, case: str) -> None:
    grid = np.asarray(encoder(make_image(side)[None]))[0]

    np.testing.assert_allclose(grid[..., ::16], stored(f"{case}/cells"), atol=1e-3)
    np.testing.assert_allclose(grid.mean(axis=(0, 1)), stored(f"{case}/pooled"), atol=1e-3)


# 64 stays even down to the grid, 65 odd; 260 is lite2's own size and has both. SAME padding and
# the offset of a stride of 2 differ between even and odd sizes.
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
def test_grid_equals_that_of_the_published_implementation(variant: str, side: int) -> None:
    encoder = efficientnet_lite(variant, side)
    assign_torch_state(encoder, make_state(variant))

    assert encoder.output_shape == (None, -(-side // 32), -(-side // 32), 1280)
    expect_stored_grid(encoder, side, f"{variant}-{side}")


def test_shipped_encoder_is_close_to_the_published_one() -> None:
    captioner, _ = load(SHIPPED_FOLDER)

    grid = np.asarray(captioner.encoder(make_image(260)[None]))[0]

    # Its last blocks were fine-tuned while its class probabilities were preserved.
    correlation = np.corrcoef(grid.mean(axis=(0, 1)), stored("published/pooled"))[0, 1]
    assert 0.9 < correlation < 0.9999


def test_own_image_size_is_the_default() -> None:
    assert efficientnet_lite("efficientnet-lite0").input_shape == (None, 224, 224, 3)
    assert VARIANTS["efficientnet-lite2"].image_size == 260


def test_error_for_an_unknown_name_lists_the_encoders() -> None:
    with pytest.raises(ValueError, match=r"'efficientnet-lite9'.*efficientnet-lite0"):
        efficientnet_lite("efficientnet-lite9")
