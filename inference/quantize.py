"""Quantize a captioner's encoder to int8: `python -m inference.quantize --data DIR`.

Post-training quantization after Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference" (CVPR 2018): weights per channel, activations by their
ranges on training images. Both encoders then caption a split of the dataset, and the loss of CIDEr
is written beside the int8 encoder.
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
from inference.captioning.lite_encoder import lite_encoder
from inference.startup import encoder_threads, quiet_stderr
from models.captioner import Captioner
from models.checkpoint import DEFAULT_CHECKPOINT, CheckpointError, load
from models.consensus import load_consensus
from models.consensus.search import CaptionSearch
from models.datasets import DatasetError, Example, open_dataset
from models.digests import weights_sha256
from models.lite import LiteNetwork, make_converter
from models.metrics import caption_grids, score
from models.preprocessing import resize_to_square

_MAX_LOSS = 0.01
"""Loss of CIDEr that is acceptable."""

_BATCH = 50

LoadImages = Callable[[Sequence[Example]], NDArray[np.uint8]]
"""Returns the examples' images, uint8 [N, S, S, 3]."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m inference.quantize", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    parser.add_argument(
        "--captioner",
        type=Path,
        default=DEFAULT_CHECKPOINT,
        help="folder of the captioner's checkpoint",
    )
    parser.add_argument("--split", default="dev", help="split to score on (default: dev)")
    parser.add_argument(
        "--calibration",
        type=int,
        default=1500,
        metavar="N",
        help="number of training images that set the ranges (default: 1500)",
    )
    options = parser.parse_args(arguments)
    try:
        card = quantize(options.captioner, options.data, options.split, options.calibration)
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"quantize: {problem}", file=sys.stderr)
        return 2
    print(f"CIDEr float32 {card.cider_float32:.4f}, int8 {card.cider_int8:.4f}")
    print(f"Loss {card.cider_loss:.4f} (less than {_MAX_LOSS} is acceptable)")
    return 0


def quantize(folder: Path, data: Path, split: str, calibration: int) -> Int8Card:
    """Write an int8 encoder and its card to a captioner's folder.

    Args:
        folder: Folder of the captioner's checkpoint.
        data: Folder of the dataset.
        split: The split on which the loss is measured.
        calibration: Number of training images that set the ranges of the activations.

    Raises:
        models.datasets.DatasetError: If the dataset cannot be read.
        models.checkpoint.CheckpointError: If the folder has no captioner.
        OSError: If the folder cannot be written to.
        ValueError: If there are no, or too few, images to calibrate with.
    """
    dataset = open_dataset(data)
    with quiet_stderr():
        captioner, card = load(folder)
        consensus = load_consensus(folder, captioner)
    search = CaptionSearch(captioner.decoder, card.beam, consensus)
    side = captioner.config.image_size

    def images(examples: Sequence[Example]) -> NDArray[np.uint8]:
        return np.stack(
            [resize_to_square(dataset.image(example.name), side) for example in examples]
        )

    examples = dataset.examples(split)
    samples = images(_sample(dataset.examples("train"), calibration))
    print(f"Quantizing with {len(samples)} training images ...", flush=True)
    with quiet_stderr():
        model = to_int8(captioner.encoder, samples)
        encoders = {
            "float32": lite_encoder(captioner.encoder, encoder_threads()),
            "int8": LiteNetwork(model, encoder_threads()),
        }
    ciders = _ciders(captioner, search, encoders, examples, images)
    int8_card = Int8Card(
        weights_sha256=weights_sha256(folder),
        encoder_sha256=sha256(model),
        calibration_images=len(samples),
        split=split,
        images=len(examples),
        cider_float32=round(ciders["float32"], 4),
        cider_int8=round(ciders["int8"], 4),
    )
    write_int8(folder, model, int8_card)
    return int8_card


def to_int8(encoder: keras.Model, samples: NDArray[np.uint8]) -> bytes:
    """Quantize an encoder; its inputs and outputs stay float32.

    Args:
        encoder: Computes grids from pixels.
        samples: Typical images, uint8 [N, S, S, 3]; some hundred are enough.

    Returns:
        A TensorFlow Lite flatbuffer.
    """
    conversion = make_converter(encoder)
    conversion.optimizations = [tf.lite.Optimize.DEFAULT]
    conversion.representative_dataset = lambda: ([s[None].astype(np.float32)] for s in samples)
    return bytes(conversion.convert())


def _sample(examples: Sequence[Example], count: int) -> list[Example]:
    if not 0 < count <= len(examples):
        raise ValueError(
            f"--calibration must be between 1 and {len(examples)}, the number of training images, "
            f"not {count}"
        )
    chosen = np.random.default_rng(0).permutation(len(examples))[:count]
    return [examples[index] for index in chosen]


def _ciders(
    captioner: Captioner,
    search: CaptionSearch,
    encoders: dict[str, LiteNetwork],
    examples: Sequence[Example],
    load_images: LoadImages,
) -> dict[str, float]:
    captions: dict[str, dict[str, str]] = {name: {} for name in encoders}
    for start in tqdm(range(0, len(examples), _BATCH), desc="measure", unit="batch"):
        batch = examples[start : start + _BATCH]
        images = load_images(batch)
        for name, encoder in encoders.items():
            texts = caption_grids(captioner, search, encoder(images))
            captions[name] |= zip((example.name for example in batch), texts, strict=True)
    references = {example.name: example.captions for example in examples}
    return {name: score(texts, references).cider for name, texts in captions.items()}


if __name__ == "__main__":
    sys.exit(main())
