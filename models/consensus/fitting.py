"""Builds a captioner's consensus from training images and tunes it on development images."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.captioner import BeamConfig, Captioner
from models.consensus.index import Consensus, ConsensusConfig
from models.consensus.search import CaptionSearch
from models.consensus.storage import ConsensusCard, DevScores
from models.datasets import Dataset, Example, open_dataset
from models.language import PAD, sentence
from models.metrics import cider_by_image, score
from models.preprocessing import resize_to_square

_BATCH = 32

_LENGTH = 20
"""Longer training captions are cut off, in words."""

_TRAIN_SPLITS, _DEV_SPLIT = ("train", "extra"), "dev"

_NEIGHBOURS = (30, 60, 100)
_SHARPNESS = (0.0, 5.0, 10.0, 20.0)
_WEIGHTS = (4.0, 8.0, 16.0, 32.0, 64.0)

_TIMED = 200
"""Images by which the time of a choice is measured."""


def fit_consensus(
    captioner: Captioner,
    beam: BeamConfig,
    folders: Sequence[Path],
    dimensions: int,
    minimum_images: int,
) -> tuple[Consensus, ConsensusCard]:
    """Build a consensus from the splits `train` and `extra`, and tune it on the splits `dev`.

    The setting with the best CIDEr, averaged over the datasets that have a split `dev`, is taken.

    Args:
        captioner: The captioner.
        beam: The parameters of its search.
        folders: Of the datasets.
        dimensions: As in `Consensus.fit`.
        minimum_images: As in `Consensus.fit`.

    Raises:
        models.datasets.DatasetError: If a dataset cannot be read.
        ValueError: If there are no images to build it from or to tune it on.
    """
    datasets = [(folder.resolve().name, open_dataset(folder)) for folder in folders]
    if not any(_DEV_SPLIT in dataset.splits for _, dataset in datasets):
        raise ValueError(f"no dataset has a split {_DEV_SPLIT!r} to tune on; add one that has")
    pooled, captions = _training_images(captioner, [dataset for _, dataset in datasets])
    consensus = Consensus.fit(
        pooled,
        captions,
        ConsensusConfig(),
        dimensions=dimensions,
        minimum_images=minimum_images,
    )
    search = CaptionSearch(captioner.decoder, beam)
    dev = [
        _search_dev(captioner, search, name, dataset)
        for name, dataset in datasets
        if _DEV_SPLIT in dataset.splits
    ]
    consensus = consensus.configured(_tune(consensus, dev))
    card = ConsensusCard(
        images=consensus.images,
        config=consensus.config,
        dev=tuple(each.scores_with(consensus) for each in dev),
        milliseconds=round(_time_choice(consensus, dev[0]), 2),
    )
    return consensus, card


@dataclass(frozen=True, slots=True, eq=False)
class _Dev:
    """A development split of N images, and the K captions of each one's beam."""

    name: str
    examples: list[Example]
    pooled: NDArray[np.float32]
    """[N, channels]"""
    tokens: list[list[list[int]]]
    """[N][K], without padding."""
    scores: NDArray[np.float32]
    """[N, K]"""
    texts: list[list[str]]
    """[N][K]"""
    cider: NDArray[np.float64]
    """[N, K]"""

    def agreement(self, consensus: Consensus) -> NDArray[np.float32]:
        """Return the agreement of each caption: [N, K]."""
        pairs = zip(self.pooled, self.tokens, strict=True)
        return np.stack([consensus.agreement(*pair) for pair in pairs])

    def choose(self, agreement: NDArray[np.float32], weight: float) -> NDArray[np.int64]:
        """Return the index of each image's caption: [N]."""
        return np.asarray((self.scores + weight * agreement).argmax(axis=1))

    def mean_cider(self, chosen: NDArray[np.int64]) -> float:
        """Return the mean CIDEr of the chosen captions."""
        return float(self.cider[np.arange(len(chosen)), chosen].mean())

    def scores_with(self, consensus: Consensus) -> DevScores:
        """Score the captions without and with the consensus."""
        references = {example.name: example.captions for example in self.examples}
        first = np.zeros(len(self.examples), np.int64)
        chosen = self.choose(self.agreement(consensus), consensus.config.weight)
        before, after = (
            score(
                {
                    example.name: texts[index]
                    for example, texts, index in zip(self.examples, self.texts, at, strict=True)
                },
                references,
            )
            for at in (first, chosen)
        )
        return DevScores(
            data=self.name,
            images=len(self.examples),
            changed=round(float((chosen != first).mean()), 4),
            cider_before=round(before.cider, 4),
            cider=round(after.cider, 4),
            bleu_4_before=round(before.bleu_4, 4),
            bleu_4=round(after.bleu_4, 4),
        )


def _training_images(
    captioner: Captioner, datasets: Sequence[Dataset]
) -> tuple[NDArray[np.float32], list[list[list[int]]]]:
    """Return the pooled grids of the training images, [N, channels], and their captions."""
    pooled, captions = [], []
    for dataset in datasets:
        examples = [
            example
            for split in _TRAIN_SPLITS
            if split in dataset.splits
            for example in dataset.examples(split)
        ]
        pooled += [_pool(grids) for grids in _grids(captioner, dataset, examples)]
        captions += [
            [_strip(captioner.vocabulary.encode(text, _LENGTH)) for text in example.captions]
            for example in examples
        ]
    if not captions:
        raise ValueError(f"the datasets have no split {' or '.join(map(repr, _TRAIN_SPLITS))}")
    return np.concatenate(pooled), captions


def _search_dev(captioner: Captioner, search: CaptionSearch, name: str, dataset: Dataset) -> _Dev:
    examples = dataset.examples(_DEV_SPLIT)
    pooled, found = [], []
    for grids in _grids(captioner, dataset, examples):
        pooled.append(_pool(grids))
        found.append(search(grids))
    beams = np.concatenate([each.beam for each in found])
    tokens = [[_strip(caption.tolist()) for caption in beam] for beam in beams]
    texts = [[sentence(captioner.vocabulary.decode(each)) for each in beam] for beam in tokens]
    references = {example.name: example.captions for example in examples}
    by_place = [
        cider_by_image(dict(zip(references, column, strict=True)), references)
        for column in zip(*texts, strict=True)
    ]
    return _Dev(
        name,
        examples,
        np.concatenate(pooled),
        tokens,
        np.concatenate([each.scores for each in found]),
        texts,
        np.array([[scores[name] for scores in by_place] for name in references]),
    )


def _tune(consensus: Consensus, dev: Sequence[_Dev]) -> ConsensusConfig:
    """Return the setting with the best CIDEr, averaged over the datasets."""
    best, best_cider = consensus.config, -1.0
    settings = list(itertools.product(_NEIGHBOURS, _SHARPNESS))
    for neighbours, sharpness in tqdm(settings, desc="tune", unit="setting"):
        tried = consensus.configured(ConsensusConfig(neighbours, sharpness))
        agreements = [each.agreement(tried) for each in dev]
        for weight in _WEIGHTS:
            cider = np.mean(
                [
                    each.mean_cider(each.choose(agreement, weight))
                    for each, agreement in zip(dev, agreements, strict=True)
                ]
            )
            if cider > best_cider:
                best = ConsensusConfig(neighbours, sharpness, weight)
                best_cider = float(cider)
    return best


def _time_choice(consensus: Consensus, dev: _Dev) -> float:
    """Return the time of a choice in milliseconds: the median over images."""
    times = []
    for pooled, tokens in list(zip(dev.pooled, dev.tokens, strict=True))[:_TIMED]:
        begun = time.perf_counter()
        consensus.agreement(pooled, tokens)
        times.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(times))


def _grids(
    captioner: Captioner, dataset: Dataset, examples: Sequence[Example]
) -> Iterator[NDArray[np.float32]]:
    """Yield the grids of the examples' images, batch by batch."""
    side = captioner.config.image_size
    captioner.encoder.compile(jit_compile=False)
    for start in tqdm(range(0, len(examples), _BATCH), desc="encode", unit="batch"):
        part = examples[start : start + _BATCH]
        pixels = np.stack([resize_to_square(dataset.image(each.name), side) for each in part])
        yield np.asarray(captioner.encoder.predict_on_batch(pixels.astype(np.float32)))


def _pool(grids: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(grids.mean(axis=(1, 2)), np.float32)


def _strip(tokens: Sequence[int]) -> list[int]:
    return [token for token in tokens if token != PAD]
