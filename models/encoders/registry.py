"""The available encoders, by name.

EfficientNet-Lite is implemented in `models.encoders.efficientnet_lite`. EfficientNetV2 (Tan and Le,
"EfficientNetV2: Smaller Models and Faster Training", ICML 2021) comes from Keras.
"""

from typing import Any

import keras

from models.encoders.efficientnet_lite import VARIANTS, efficientnet_lite

SMALLEST_IMAGE = 32
"""Least side of an image in pixels, which gives a grid of one cell."""

_V2_CLASSES = {
    "efficientnetv2-b0": "EfficientNetV2B0",
    "efficientnetv2-b1": "EfficientNetV2B1",
    "efficientnetv2-b2": "EfficientNetV2B2",
    "efficientnetv2-b3": "EfficientNetV2B3",
    "efficientnetv2-s": "EfficientNetV2S",
    "efficientnetv2-m": "EfficientNetV2M",
    "efficientnetv2-l": "EfficientNetV2L",
}

IMAGE_SIZES = {
    **{name: variant.image_size for name, variant in VARIANTS.items()},
    "efficientnetv2-b0": 224,
    "efficientnetv2-b1": 240,
    "efficientnetv2-b2": 260,
    "efficientnetv2-b3": 300,
    "efficientnetv2-s": 384,
    "efficientnetv2-m": 480,
    "efficientnetv2-l": 480,
}
"""Every encoder by name, with the side in pixels of the images that it was published for."""


def make_encoder(name: str, image_size: int | None = None) -> keras.Model:
    """Build an encoder with untrained weights.

    The names of its layers with weights are the same every time.

    Args:
        name: A key of `IMAGE_SIZES`.
        image_size: Side of the square input in pixels; the encoder's own if None.

    Returns:
        A model of this name, from RGB pixels in 0..255, float32 [B, S, S, 3], to the grid after
        the last convolution's normalisation and activation, float32
        [B, ceil(S/32), ceil(S/32), channels]: 1280 channels, 1408 of `efficientnetv2-b2` and 1536
        of `efficientnetv2-b3`.

    Raises:
        ValueError: If the name is unknown or the image size too small.
    """
    side = own_image_size(name) if image_size is None else check_image_size(name, image_size)
    if name in VARIANTS:
        return efficientnet_lite(name, side)
    return efficientnet_v2(name, include_top=False, input_shape=(side, side, 3))


def own_image_size(name: str) -> int:
    """Return the side in pixels of the images that the encoder was published for.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in IMAGE_SIZES:
        raise ValueError(f"unknown encoder {name!r}; choose one of {', '.join(IMAGE_SIZES)}")
    return IMAGE_SIZES[name]


def check_image_size(name: str, image_size: int) -> int:
    """Return the image size if the encoder exists and accepts it.

    Raises:
        ValueError: If the name is unknown or the image size too small.
    """
    own = own_image_size(name)
    if image_size < SMALLEST_IMAGE:
        raise ValueError(
            f"image_size is {image_size} but must be {SMALLEST_IMAGE} or more; {name} was made "
            f"for {own}"
        )
    return image_size


def is_efficientnet_v2(name: str) -> bool:
    """Return whether the encoder comes from `keras.applications`."""
    return name in _V2_CLASSES


def efficientnet_v2(name: str, *, weights: str | None = None, **arguments: Any) -> keras.Model:
    """Build an EfficientNetV2 with the arguments of `keras.applications`."""
    make = getattr(keras.applications, _V2_CLASSES[name])
    return make(weights=weights, name=name, include_preprocessing=True, **arguments)
