"""Measure a captioner on a split: `python -m models.evaluate --data DIR --split dev`."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.beam_search import BeamConfig, beam_search
from models.captioner import Captioner
from models.datasets import Dataset, DatasetError, Example, open_dataset
from models.decoder import Decoder
from models.language import Language, describe
from models.metrics import Scores, score
from models.pictures import squeeze
from models.release import DEFAULT, ReleaseError, load
from models.vocabulary import sentence

_BATCH = 50


class Searcher(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """Beam search as a model from grids to tokens, so that Keras compiles and batches it."""

    def __init__(self, decoder: Decoder, beam: BeamConfig) -> None:
        """Search with this decoder, whose weights may go on changing."""
        super().__init__()
        self.decoder = decoder
        self.beam = replace(beam, alternatives=0)
        self.compile(jit_compile=False)

    def call(self, grid: keras.KerasTensor) -> keras.KerasTensor:
        """Grids [B, rows, columns, channels] to tokens int32 [B, T]."""
        return beam_search(self.decoder, grid, self.beam).tokens


def caption_grids(
    captioner: Captioner, searcher: Searcher, grids: NDArray[np.floating]
) -> list[str]:
    """Caption every grid of [N, rows, columns, channels]."""
    captions = []
    for start in tqdm(range(0, len(grids), _BATCH), desc="captions", unit="batch", leave=False):
        batch = np.asarray(grids[start : start + _BATCH], np.float32)
        for ids in searcher.predict_on_batch(batch):
            captions.append(sentence(captioner.vocabulary.decode(ids)))
    return captions


def caption_images(
    captioner: Captioner, dataset: Dataset, examples: Sequence[Example], beam: BeamConfig
) -> dict[str, str]:
    """Caption the examples' pictures, by name."""
    searcher = Searcher(captioner.decoder, beam)
    captioner.encoder.compile(jit_compile=False)
    captions: dict[str, str] = {}
    for start in tqdm(range(0, len(examples), _BATCH), desc="evaluate", unit="batch"):
        part = examples[start : start + _BATCH]
        side = captioner.config.image_size
        images = np.stack([squeeze(dataset.image(example.name), side) for example in part])
        grids = captioner.encoder.predict_on_batch(images.astype(np.float32))
        said = caption_grids(captioner, searcher, grids)
        captions |= dict(zip((example.name for example in part), said, strict=True))
    return captions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--split", default="dev", help="which images (default: dev)")
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")
    parser.add_argument("--beam", type=int, metavar="WIDTH", help="beam width (default: its own)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write figures and captions")
    options = parser.parse_args(arguments)
    try:
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
        dataset = open_dataset(options.data)
        examples = dataset.examples(options.split)
        captioner, card = load(options.captioner)
        beam = card.beam if options.beam is None else replace(card.beam, width=options.beam)
        captions = caption_images(captioner, dataset, examples, beam)
    except (DatasetError, ReleaseError, OSError, ValueError) as problem:
        print(f"evaluate: {problem}", file=sys.stderr)
        return 2
    scores = score(captions, {example.name: example.captions for example in examples})
    language = describe(list(captions.values()))
    _print(scores, language)
    if options.out:
        report = {
            "captioner": card.name,
            "split": options.split,
            "images": len(examples),
            "beam": beam.width,
            "figures": asdict(scores) | asdict(language),
            "captions": captions,
        }
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _print(scores: Scores, language: Language) -> None:
    labels = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr")
    for label, value in zip(labels, asdict(scores).values(), strict=True):
        print(f"{label:15}{value:7.3f}")
    print(f"{'distinct':15}{language.distinct:7.1%}")
    print(f"{'words a caption':15}{language.words:7.1f}")
    print(f"{'bad endings':15}{language.bad_endings:7.1%}")


if __name__ == "__main__":
    sys.exit(main())
