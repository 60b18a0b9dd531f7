"""Images as programs have them: arrays, images of Pillow, and files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.image_files import convert_pillow_image, read_image

ImageInput = NDArray[np.uint8] | Image.Image | str | os.PathLike[str]
"""An array RGB, uint8 [H, W, 3], an image of Pillow, or the path of an image file."""

_ACCEPTED = "an image is a path, an image of Pillow, or an array RGB, uint8 [H, W, 3]"


def to_array(image: Any) -> NDArray[np.uint8]:
    """Convert an image to a new array RGB, uint8 [H, W, 3].

    Files and images of Pillow are turned upright, converted to sRGB and put on white where they are
    transparent, as browsers show them.

    Args:
        image: An `ImageInput`, or anything that NumPy converts to such an array.

    Raises:
        ValueError: If it is none, or the file cannot be read; the message says what to do.
    """
    if isinstance(image, Image.Image):
        return convert_pillow_image(image)
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image))
    if not isinstance(image, np.ndarray) and not hasattr(image, "__array__"):
        raise ValueError(f"{_ACCEPTED}, not {type(image).__name__}")
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(f"{_ACCEPTED}, not {array.dtype} {list(array.shape)}{_remedy(array)}")
    # A copy, so that the result still shows what was captioned if the caller's array changes.
    return np.array(array, order="C")


def _remedy(array: NDArray[Any]) -> str:
    """Return how to convert the arrays that other libraries use; empty if it is none of them."""
    shape = array.shape
    if not array.size:
        return ""
    if array.ndim == 4:
        return "; pass several images as a list: list(images)"
    if array.ndim == 2:
        return "; convert it from grey to RGB: np.stack([image] * 3, axis=-1)"
    if array.ndim == 3 and shape[2] == 4:
        return "; leave out the opacity: image[..., :3]"
    if array.ndim == 3 and shape[0] == 3 and shape[2] != 3:
        return "; put the channels last: image.transpose(1, 2, 0)"
    if array.ndim == 3 and shape[2] == 3 and array.dtype.kind == "f":
        return "; convert it from 0..1: (255 * image).round().astype(np.uint8)"
    return ""
