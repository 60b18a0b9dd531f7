"""Quantize a captioner's encoder to int8.

    python -m inference.quantize --data DIR [--data DIR ...] --captioner DIR

Post-training quantization after Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference" (CVPR 2018): weights per channel, activations by their
ranges on training images, drawn from all datasets alike. Both encoders then caption a split of each
dataset that has it, and the loss of CIDEr is written beside the int8 encoder.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from inference.captioning import Int8Card, Int8Loss, sha256, write_int8
from inference.captioning.lite_encoder import lite_encoder
from inference.startup import encoder_threads, quiet_stderr
from models.captioner import Captioner
from models.catalogue.options import add_captioner_folder, add_datasets
from models.checkpoint import CheckpointError, load
from models.consensus import load_consensus
from models.consensus.search import CaptionSearch
from models.datasets import Dataset, DatasetError, Example, open_dataset
from models.digests import weights_sha256
from models.lite import LiteNetwork, make_converter
from models.metrics import caption_grids, score
from models.preprocessing import resize_to_square

_MAX_LOSS = 0.01
"""Loss of CIDEr that is acceptable."""

_BATCH = 50
_TRAIN_SPLIT = "train"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m inference.quantize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_datasets(parser)
    add_captioner_folder(parser)
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
    for loss in card.losses:
        print(
            f"{card.split} of {loss.data}, {loss.images} images: CIDEr float32 "
            f"{loss.cider_float32:.4f}, int8 {loss.cider_int8:.4f}, loss {loss.cider_loss:.4f} "
            f"(less than {_MAX_LOSS} is acceptable)"
        )
    return 0


def quantize(folder: Path, data: Sequence[Path], split: str, calibration: int) -> Int8Card:
    """Write an int8 encoder and its card to a captioner's folder.

    Args:
        folder: Folder of the captioner's checkpoint.
        data: Folders of the datasets.
        split: The split on which the loss is measured; at least one dataset has it.
        calibration: Number of training images that set the ranges of the activations.

    Raises:
        models.datasets.DatasetError: If the dataset cannot be read.
        models.checkpoint.CheckpointError: If the folder has no captioner.
        OSError: If the folder cannot be written to.
        ValueError: If there are no, or too few, images to calibrate with or none to measure on.
    """
    datasets = [(each.resolve().name, open_dataset(each)) for each in data]
    measured = [(name, dataset) for name, dataset in datasets if split in dataset.splits]
    if not measured:
        raise ValueError(f"no dataset has a split {split!r} to measure on; choose another --split")
    chosen = _sample([dataset for _, dataset in datasets], calibration)
    with quiet_stderr():
        captioner, card = load(folder)
        consensus = load_consensus(folder, captioner)
    search = CaptionSearch(captioner.decoder, card.beam, consensus)
    side = captioner.config.image_size

    samples = np.stack(
        [resize_to_square(dataset.image(example.name), side) for dataset, example in chosen]
    )
    print(f"Quantizing with {len(samples)} training images ...", flush=True)
    with quiet_stderr():
        model = to_int8(captioner.encoder, samples)
        encoders = {
            "float32": lite_encoder(captioner.encoder, encoder_threads()),
            "int8": LiteNetwork(model, encoder_threads()),
        }
    losses = [
        _loss(captioner, search, encoders, name, dataset, split) for name, dataset in measured
    ]
    int8_card = Int8Card(
        weights_sha256=weights_sha256(folder),
        encoder_sha256=sha256(model),
        calibration_images=len(samples),
        split=split,
        losses=tuple(losses),
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


def _sample(datasets: Sequence[Dataset], count: int) -> list[tuple[Dataset, Example]]:
    examples = [
        (dataset, example)
        for dataset in datasets
        if _TRAIN_SPLIT in dataset.splits
        for example in dataset.examples(_TRAIN_SPLIT)
    ]
    if not 0 < count <= len(examples):
        raise ValueError(
            f"--calibration must be between 1 and {len(examples)}, the number of training images, "
            f"not {count}"
        )
    chosen = np.random.default_rng(0).permutation(len(examples))[:count]
    return [examples[index] for index in chosen]


def _loss(
    captioner: Captioner,
    search: CaptionSearch,
    encoders: dict[str, LiteNetwork],
    name: str,
    dataset: Dataset,
    split: str,
) -> Int8Loss:
    examples = dataset.examples(split)
    side = captioner.config.image_size
    captions: dict[str, dict[str, str]] = {each: {} for each in encoders}
    for start in tqdm(range(0, len(examples), _BATCH), desc=f"measure {name}", unit="batch"):
        batch = examples[start : start + _BATCH]
        images = np.stack([resize_to_square(dataset.image(each.name), side) for each in batch])
        for precision, encoder in encoders.items():
            texts = caption_grids(captioner, search, encoder(images))
            captions[precision] |= zip((each.name for each in batch), texts, strict=True)
    references = {example.name: example.captions for example in examples}
    ciders = {each: round(score(texts, references).cider, 4) for each, texts in captions.items()}
    return Int8Loss(name, len(examples), ciders["float32"], ciders["int8"])


if __name__ == "__main__":
    sys.exit(main())
