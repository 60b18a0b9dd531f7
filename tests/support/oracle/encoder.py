"""The outputs that `make_encoder_oracle.py` stored, and the weights that it used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.oracle.synthetic_weights import make_array

_PATH = Path(__file__).parent / "encoder.npz"


def stored(name: str) -> NDArray[Any]:
    """Read an array of the file."""
    with np.load(_PATH) as arrays:
        array: NDArray[Any] = arrays[name]
    return array


def make_state(variant: str) -> dict[str, NDArray[np.float32]]:
    """Make the weights of a variant, by the names and shapes of its published state."""
    shapes = json.loads(str(stored(f"{variant}/shapes")))
    return {name: make_array(name, tuple(shape)) for name, shape in shapes.items()}
