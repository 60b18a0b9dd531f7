"""A captioner's encoder in integers of 8 bits, and what that costs, in the captioner's folder.

Made by `python -m inference.quantize`. Nothing here needs TensorFlow, so that the server can tell
early whether there is one.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from models.digests import weights_sha256

Precision = Literal["float32", "int8"]
"""What an encoder computes in."""


_MODEL, _CARD = "encoder-int8.tflite", "encoder-int8.json"


class QuantizedError(ValueError):
    """The folder holds no int8 encoder that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Int8Card:
    """What an int8 encoder says of itself."""

    weights_sha256: str
    """Of the `weights.npz` that it was made of."""
    encoder_sha256: str
    """Of the encoder's file."""
    calibration_images: int
    """Of the training split."""
    split: str
    """Of the data set, that the scores are of."""
    images: int
    """Of that split."""
    cider_float32: float
    cider_int8: float

    @property
    def cider_loss(self) -> float:
        """What is lost by it, of 10."""
        return self.cider_float32 - self.cider_int8


def write_int8(folder: Path, model: bytes, card: Int8Card) -> None:
    """Put the encoder and its card into the captioner's folder."""
    (folder / _MODEL).write_bytes(model)
    values = {**asdict(card), "cider_loss": round(card.cider_loss, 4)}
    (folder / _CARD).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_int8(folder: Path) -> tuple[bytes, Int8Card]:
    """Read the encoder and its card.

    Raises:
        QuantizedError: If there is none, or it is not of the captioner's weights.
    """
    make = f"`python -m inference.quantize --data DIR --captioner {folder}`"
    try:
        model = (folder / _MODEL).read_bytes()
        values = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        values.pop("cider_loss")
        card = Int8Card(**values)
    except FileNotFoundError as missing:
        raise QuantizedError(f"{folder} has no int8 encoder: make one with {make}") from missing
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise QuantizedError(f"{folder}'s int8 encoder cannot be read: {problem}") from problem
    try:
        weights = weights_sha256(folder)
    except OSError as problem:
        raise QuantizedError(f"{folder}'s weights cannot be read: {problem}") from problem
    if card.weights_sha256 != weights or card.encoder_sha256 != sha256(model):
        raise QuantizedError(
            f"{folder}'s int8 encoder does not belong to its weights: make one anew with {make}"
        )
    return model, card


def sha256(content: bytes) -> str:
    """The digest as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
