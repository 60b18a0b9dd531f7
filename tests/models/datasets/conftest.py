"""Fixtures: encoded images for datasets."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

Encode = Callable[[str, tuple[int, int, int]], bytes]


@pytest.fixture
def encode() -> Encode:
    """A function that encodes a 24x32 (height x width) image of one RGB colour."""

    def encode_flat(extension: str, rgb: tuple[int, int, int]) -> bytes:
        pixels = np.full((24, 32, 3), rgb[::-1], np.uint8)
        done, encoded = cv2.imencode(extension, pixels)
        assert done
        return encoded.tobytes()

    return encode_flat
