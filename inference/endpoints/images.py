"""Images as an endpoint takes them, and the features by which frames are compared."""

import base64
import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning import Features
from models.preprocessing import Resizing

RESIZING = Resizing(512, is_square=False)
"""Of the images that are sent."""

_JPEG_QUALITY = 85
_THUMBNAIL_SIDE = 16


def check_image(image: NDArray[np.uint8]) -> None:
    """Raise ValueError unless the array is an image: RGB, uint8 [H, W, 3]."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError("an image is an array uint8 [H, W, 3] with at least one pixel")


def data_url(image: NDArray[np.uint8]) -> str:
    """Return an image as a JPEG in a data URL (RFC 2397), scaled down."""
    image = RESIZING.apply(image)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def frame_thumbnail(image: NDArray[np.uint8]) -> Features:
    """Return the luminance of 16 x 16 cells without its mean, flattened.

    The cosine distance of two thumbnails is 1 minus their correlation.
    """
    side = _THUMBNAIL_SIDE
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cells = np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(cells - cells.mean(), np.float16).ravel()


def digest(image: NDArray[np.uint8]) -> bytes:
    """Return the SHA-256 of an image."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
