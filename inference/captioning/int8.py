"""The int8 encoder in a checkpoint's folder, and its card.

`python -m inference.quantize` writes them. Needs no TensorFlow, so that the server can check early
whether there is one.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from models.digests import weights_sha256

Precision = Literal["float32", "int8"]
"""Numeric precision of an encoder."""

_MODEL, _CARD = "encoder-int8.tflite", "encoder-int8.json"


class QuantizedError(ValueError):
    """The folder has no usable int8 encoder; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Int8Loss:
    """What an int8 encoder costs in accuracy on one dataset."""

    data: str
    """Name of the dataset's folder."""
    images: int
    """Number of images in the scored split."""
    cider_float32: float
    cider_int8: float

    @property
    def cider_loss(self) -> float:
        """Loss of CIDEr, on its scale of 0 to 10."""
        return self.cider_float32 - self.cider_int8


@dataclass(frozen=True, slots=True)
class Int8Card:
    """How an int8 encoder was made and what it costs in accuracy."""

    weights_sha256: str
    """Of the `weights.npz` from which it was made."""
    encoder_sha256: str
    """Of the encoder's file."""
    calibration_images: int
    """Number of training images that set the ranges of the activations."""
    split: str
    """The split of the datasets on which both encoders were scored."""
    losses: tuple[Int8Loss, ...]
    """One of each dataset that has the split."""


def write_int8(folder: Path, model: bytes, card: Int8Card) -> None:
    """Write the encoder and its card to the checkpoint's folder."""
    (folder / _MODEL).write_bytes(model)
    values = asdict(card)
    for written, loss in zip(values["losses"], card.losses, strict=True):
        written["cider_loss"] = round(loss.cider_loss, 4)
    (folder / _CARD).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_int8(folder: Path) -> tuple[bytes, Int8Card]:
    """Read the encoder and its card.

    Raises:
        QuantizedError: If there is none, or it belongs to other weights.
    """
    command = f"python -m inference.quantize --data DIR --captioner {folder}"
    try:
        model = (folder / _MODEL).read_bytes()
        values = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        for loss in values["losses"]:
            loss.pop("cider_loss")
        losses = tuple(Int8Loss(**loss) for loss in values.pop("losses"))
        card = Int8Card(**values, losses=losses)
    except FileNotFoundError as missing:
        raise QuantizedError(
            f"{folder} has no int8 encoder. To make one, run: {command}"
        ) from missing
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise QuantizedError(f"the int8 encoder in {folder} cannot be read: {problem}") from problem
    try:
        weights = weights_sha256(folder)
    except OSError as problem:
        raise QuantizedError(f"the weights in {folder} cannot be read: {problem}") from problem
    if card.weights_sha256 != weights or card.encoder_sha256 != sha256(model):
        raise QuantizedError(
            f"the int8 encoder in {folder} does not belong to its weights. To make a new one, run: "
            f"{command}"
        )
    return model, card


def sha256(content: bytes) -> str:
    """Return the SHA-256 digest as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
