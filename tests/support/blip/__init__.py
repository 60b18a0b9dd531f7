"""Tiny random BLIP checkpoints, and what `transformers` computes with them.

`make_checkpoints.py` made the folders beside this file: each is a checkpoint in the published
format, with `expected.npz`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHECKPOINTS = ("plain", "untied", "wide", "deep", "brain")
"""The names of the checkpoints, which differ in all sizes; `make_checkpoints.py` states them."""

MAPPED = ("deep", "untied")
"""Those with maps, in `maps.npz`, which `make_maps.py` made."""

PLACE = 5
"""Index of the token whose saliency is stored."""

RAISED, FIRST = 50, 2
"""Of the attack whose gradient is stored; see `AttackObjective`."""

IMAGES = 20
"""Images that each checkpoint captioned."""

WORD_PIECES = Path(__file__).parent / "word_pieces.json"
"""How `transformers` splits texts."""


def folder(name: str) -> Path:
    """Return the folder of a checkpoint."""
    return Path(__file__).parent / name


def stored(name: str) -> dict[str, NDArray[Any]]:
    """Read what `transformers` computed."""
    with np.load(folder(name) / "expected.npz") as arrays:
        return dict(arrays)


def make_images(side: int, count: int = IMAGES) -> NDArray[np.uint8]:
    """Make random images of coloured areas with noise, uint8 [count, side, side, 3]."""
    random = np.random.default_rng(side)
    areas = random.integers(0, 256, (count, 4, 4, 3))
    cells = np.arange(side) * 4 // side
    noise = random.integers(-40, 41, (count, side, side, 3))
    return np.asarray(np.clip(areas[:, cells][:, :, cells] + noise, 0, 255), np.uint8)


def make_photo() -> NDArray[np.uint8]:
    """Make a smooth image that is neither square nor of any encoder's size, uint8 [H, W, 3]."""
    y, x = np.mgrid[0:75, 0:110]
    waves = [np.sin(x / 9 + phase) + np.cos(y / (5 + phase)) for phase in (0, 1, 2)]
    return np.round(np.stack(waves, axis=-1) * 60 + 128).astype(np.uint8)


def stored_maps(name: str) -> dict[str, NDArray[Any]]:
    """Read the maps that PyTorch computed; see `make_maps.py`."""
    with np.load(folder(name) / "maps.npz") as arrays:
        return dict(arrays)
