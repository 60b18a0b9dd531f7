"""Images as WebP files."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 76
_EFFORT = 1
"""Of WebP's 0 to 6: more takes visibly longer and saves hardly any bytes."""


def encode_webp(image: NDArray[np.uint8]) -> bytes:
    """Encode RGB [h, w, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "webp", quality=_QUALITY, method=_EFFORT)
    return buffer.getvalue()


def decode_webp(encoded: bytes) -> NDArray[np.uint8]:
    """Decode an image to RGB, uint8 [h, w, 3]."""
    with Image.open(io.BytesIO(encoded)) as opened:
        return np.asarray(opened.convert("RGB"), np.uint8)
