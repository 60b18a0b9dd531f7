"""TODO."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from tqdm import tqdm

from models.calibration.tag_calibration import (
    cross_validate,
    find_threshold,
    fit,
    measure,
    measure_agreement,
    read_evidence,
    silence,
)
from models.calibration.tags import mentioned
from models.checkpoint import load, write_card
from models.datasets import Dataset, Example, open_dataset
from models.encoders import CLASSES, load_pretrained, make_encoder
from models.preprocessing import squeeze

_BATCH = 32
_SPLIT = "dev"


class _Network:
    """An encoder with its own classifier."""

    def __init__(self, encoder: keras.Model, classifier: keras.layers.Dense) -> None:
        self.side: int = encoder.input_shape[1]
        self.encoder = encoder
        self._classifier = classifier
        encoder.compile(jit_compile=False)

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [N, CLASSES] of pictures [N, side, side, 3]."""
        grids = self.encoder.predict_on_batch(images.astype(np.float32))
        return np.asarray(ops.convert_to_numpy(self._classifier(grids.mean(axis=(1, 2)))))

    def scores_of(self, sets: Sequence["_Pictures"]) -> NDArray[np.float32]:
        """Logits of all pictures of the data sets."""
        total = sum(len(pictures.examples) for pictures in sets)
        with tqdm(total=total, desc="pictures", unit="picture", mininterval=5) as progress:
            scores = []
            for pictures in sets:
                for images in pictures.batches(self.side):
                    scores.append(self.scores(images))
                    progress.update(len(images))
        return np.concatenate(scores)


class _Pictures:
    """The pictures of one data set."""

    def __init__(self, folder: Path) -> None:
        self._dataset: Dataset = open_dataset(folder)
        known = self._dataset.splits
        self.examples: list[Example] = [
            example
            for split in ([_SPLIT] if _SPLIT in known else known)
            for example in self._dataset.examples(split)
        ]

    def batches(self, side: int) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(self.examples), _BATCH):
            part = self.examples[start : start + _BATCH]
            yield np.stack([squeeze(self._dataset.image(example.name), side) for example in part])


def blank_pictures(side: int) -> NDArray[np.uint8]:
    """Make pictures in which there is nothing, uint8 [N, side, side, 3].

    Plain walls, walls that are lit from a side or from before, and what a camera makes of darkness.
    """
    down, across = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    shades = (0 * down, across, down, -across, -down, across + down, -(down**2) - across**2)
    colours = {(140, 140, 140): 80, (201, 190, 172): 25, (70, 80, 95): 25, (190, 60, 50): 25}
    walls = [
        np.array(colour) + contrast * shade[..., None]
        for colour, contrast in colours.items()
        for shade in shades
    ]
    random = np.random.default_rng(0)
    noise = [
        random.normal(mean, deviation, (side, side, 3))
        for mean, deviation in ((0, 0), (255, 0), (10, 3), (25, 6), (60, 10), (128, 20), (128, 80))
    ]
    return np.asarray(np.clip(walls + noise, 0, 255), np.uint8)


def _calibrate(folder: Path, data: Sequence[Path], precision: float) -> dict[str, dict[str, float]]:
    """Calibrate the captioner in its folder; return the figures."""
    captioner, card = load(folder)
    if captioner.classifier is None:
        raise ValueError(f"{folder} has no classifier to make tags with: train with classes = 1000")
    network = _Network(captioner.encoder, captioner.classifier)
    sets = [_Pictures(path) for path in data]
    scores = network.scores_of(sets)
    there = np.array([mentioned(e.captions) for pictures in sets for e in pictures.examples])
    evidence = read_evidence(scores)
    blank = read_evidence(network.scores(blank_pictures(network.side)))
    probabilities, told = cross_validate(evidence, there, blank, precision)
    threshold = round(find_threshold(probabilities, there, precision), 3)
    calibration = silence(replace(fit(evidence, there), threshold=threshold), blank)
    write_card(folder, replace(card, tags=calibration))

    report: dict[str, dict[str, float]] = {
        "calibration": {
            "slope": calibration.slope,
            "offset": calibration.offset,
            "threshold": calibration.threshold,
            "doubted_tags": len(calibration.doubts),
        }
    }
    ends = np.cumsum([len(pictures.examples) for pictures in sets])[:-1]
    parts = [np.split(values, ends) for values in (evidence, probabilities, told, there)]
    for path, *part in zip(data, *parts, strict=True):
        report[str(path)] = asdict(measure(*part))
    try:
        published = _published(network).scores_of(sets)
    except RuntimeError as problem:
        print(f"agreement with the published network is not measured: {problem}", file=sys.stderr)
        return report
    both = [np.split(values, ends) for values in (scores, published)]
    for path, own, other in zip(data, *both, strict=True):
        agreement = measure_agreement(own, other, calibration)
        report[f"agreement on {path}"] = asdict(agreement)
    return report


def _published(network: _Network) -> _Network:
    """The same network as it was published."""
    encoder = make_encoder(network.encoder.name, network.side)
    classifier = keras.layers.Dense(CLASSES)
    classifier.build((None, encoder.output_shape[-1]))
    load_pretrained(encoder, classifier, True)
    return _Network(encoder, classifier)
