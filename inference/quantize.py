"""Put a captioner's encoder into 8 bits: `python -m inference.quantize --data DIR`.

Post-training quantization after Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference" (CVPR 2018): weights by channel, activations by the
ranges that training pictures give them. Both encoders then caption a split, and what is lost of
CIDEr is written beside the int8 one.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from inference.captioning import Int8Card, sha256, write_int8
from inference.captioning.lite_encoder import LiteEncoder, converter, lite_encoder
from inference.startup import encoder_threads, quiet
from models.captioner import Captioner
from models.checkpoint import DEFAULT, Card, ReleaseError, load
from models.datasets import DatasetError, Example, open_dataset
from models.digests import weights_sha256
from models.evaluation import Searcher, caption_grids, score
from models.preprocessing import squeeze

_WANTED_LOSS = 0.01
_BATCH = 50

Read = Callable[[Sequence[Example]], NDArray[np.uint8]]
"""The examples' pictures, uint8 [N, S, S, 3]."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m inference.quantize", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")
    parser.add_argument("--split", default="dev", help="images to measure with (default: dev)")
    parser.add_argument(
        "--calibration", type=int, default=1500, metavar="N", help="training images (default: 1500)"
    )
    options = parser.parse_args(arguments)
    try:
        card = quantize(options.captioner, options.data, options.split, options.calibration)
    except (DatasetError, ReleaseError, OSError, ValueError) as problem:
        print(f"quantize: {problem}", file=sys.stderr)
        return 2
    print(f"CIDEr float32 {card.cider_float32:.4f}, int8 {card.cider_int8:.4f}")
    print(f"Loss {card.cider_loss:.4f}; less than {_WANTED_LOSS} is wanted")
    return 0


def quantize(folder: Path, data: Path, split: str, calibration: int) -> Int8Card:
    """Put an int8 encoder into a captioner's folder.

    Args:
        folder: The captioner's.
        data: A data set's folder.
        split: What the loss is measured on.
        calibration: How many images of the training split give the ranges.

    Raises:
        models.datasets.DatasetError: If the data set cannot be read.
        models.checkpoint.ReleaseError: If the folder holds no captioner.
        OSError: If the folder cannot be written.
        ValueError: If no image is to calibrate.
    """
    dataset = open_dataset(data)
    with quiet():
        captioner, card = load(folder)
    side = captioner.config.image_size

    def read(examples: Sequence[Example]) -> NDArray[np.uint8]:
        return np.stack([squeeze(dataset.image(example.name), side) for example in examples])

    examples = dataset.examples(split)
    pictures = read(_some(dataset.examples("train"), calibration))
    print(f"Quantizing by {len(pictures)} training images ...", flush=True)
    with quiet():
        model = to_int8(captioner.encoder, pictures)
        encoders = {
            "float32": lite_encoder(captioner.encoder, encoder_threads()),
            "int8": LiteEncoder(model, encoder_threads()),
        }
    ciders = _ciders(captioner, card, encoders, examples, read)
    made = Int8Card(
        weights_sha256=weights_sha256(folder),
        encoder_sha256=sha256(model),
        calibration_images=len(pictures),
        split=split,
        images=len(examples),
        cider_float32=round(ciders["float32"], 4),
        cider_int8=round(ciders["int8"], 4),
    )
    write_int8(folder, model, made)
    return made


def to_int8(encoder: keras.Model, pictures: NDArray[np.uint8]) -> bytes:
    """Convert an encoder, its inputs and outputs still float32.

    Args:
        encoder: Pixels to grids.
        pictures: uint8 [N, S, S, 3], of the kind that it will see; some hundred are enough.
    """
    conversion = converter(encoder)
    conversion.optimizations = [tf.lite.Optimize.DEFAULT]
    conversion.representative_dataset = lambda: ([p[None].astype(np.float32)] for p in pictures)
    return bytes(conversion.convert())


def _some(examples: Sequence[Example], count: int) -> list[Example]:
    if not 0 < count <= len(examples):
        raise ValueError(f"--calibration is {count}; there are {len(examples)} training images")
    chosen = np.random.default_rng(0).permutation(len(examples))[:count]
    return [examples[index] for index in chosen]


def _ciders(
    captioner: Captioner,
    card: Card,
    encoders: dict[str, LiteEncoder],
    examples: Sequence[Example],
    read: Read,
) -> dict[str, float]:
    searcher = Searcher(captioner.decoder, card.beam)
    captions: dict[str, dict[str, str]] = {name: {} for name in encoders}
    for start in tqdm(range(0, len(examples), _BATCH), desc="measure", unit="batch"):
        part = examples[start : start + _BATCH]
        pictures = read(part)
        for name, encoder in encoders.items():
            said = caption_grids(captioner, searcher, encoder(pictures))
            captions[name] |= zip((example.name for example in part), said, strict=True)
    references = {example.name: example.captions for example in examples}
    return {name: score(said, references).cider for name, said in captions.items()}


if __name__ == "__main__":
    sys.exit(main())
