"""Tests of the encoders by name, on small images."""

import keras
import numpy as np
import pytest

from models.encoders.registry import IMAGE_SIZES, check_image_size, make_encoder
from tests.support.captioners.small_encoders import shallow_v2

DEEP = ("efficientnetv2-s", "efficientnetv2-m", "efficientnetv2-l")
CHANNELS = {"efficientnetv2-b2": 1408, "efficientnetv2-b3": 1536}


def names(encoder: keras.Model) -> list[str]:
    return [variable.path for variable in encoder.weights]


@pytest.mark.parametrize("name", IMAGE_SIZES)
def test_every_encoder_has_a_stride_of_32_pixels(name: str) -> None:
    # Hundreds of blocks would take seconds, and change no shape.
    with shallow_v2(*DEEP):
        encoder = make_encoder(name, 65)

    assert encoder.name == name
    assert encoder.input_shape == (None, 65, 65, 3)
    assert encoder.output_shape == (None, 3, 3, CHANNELS.get(name, 1280))
    # A checkpoint names an array by the last two parts of its path.
    local = [tuple(path.split("/")[-2:]) for path in names(encoder)]
    assert len(set(local)) == len(local)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnetv2-b0"])
def test_weights_have_the_same_names_every_time(name: str) -> None:
    assert names(make_encoder(name, 64)) == names(make_encoder(name, 64))


@pytest.mark.parametrize(
    "name", ["efficientnet-lite0", "efficientnet-lite1", "efficientnetv2-b0", "efficientnetv2-b1"]
)
def test_own_image_size_is_the_default(name: str) -> None:
    assert make_encoder(name).input_shape == (None, IMAGE_SIZES[name], IMAGE_SIZES[name], 3)


@pytest.mark.parametrize("name", sorted(IMAGE_SIZES.keys() - {"efficientnet-lite0"}))
def test_image_sizes_are_the_published_ones(name: str) -> None:
    published = {
        "lite1": 240,
        "lite2": 260,
        "b0": 224,
        "b1": 240,
        "b2": 260,
        "b3": 300,
        "s": 384,
        "m": 480,
        "l": 480,
    }

    assert IMAGE_SIZES[name] == published[name.split("-")[-1]]


def test_efficientnet_v2_maps_pixels_to_the_last_activation() -> None:
    encoder = make_encoder("efficientnetv2-b0", 64)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)

    # The B models normalise by ImageNet's mean and deviation.
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    inside = keras.Model(encoder.get_layer("stem_conv").input, encoder.output)
    grid = inside((pixels / 255 - mean) / deviation)

    np.testing.assert_allclose(encoder(pixels), grid, atol=1e-5)
    assert encoder.layers[-1].name == "top_activation"


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnetv2-b0"])
def test_images_of_a_batch_are_independent(name: str) -> None:
    encoder = make_encoder(name, 64)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype(np.float32)

    together, alone = np.asarray(encoder(pixels)), np.asarray(encoder(pixels[:1]))

    # The order of summation depends on the batch size.
    np.testing.assert_allclose(together[:1], alone, atol=1e-5 * np.abs(alone).max())


def test_error_for_an_unknown_name_lists_the_encoders() -> None:
    with pytest.raises(ValueError, match=r"'resnet50'; .*efficientnet-lite0.*efficientnetv2-l"):
        make_encoder("resnet50", 64)


@pytest.mark.parametrize("size", [0, -260, 31])
def test_image_that_is_too_small_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"image_size is {size} but must be 32 or more; .*260"):
        check_image_size("efficientnet-lite2", size)
    with pytest.raises(ValueError, match="must be 32 or more"):
        make_encoder("efficientnet-lite2", size)
