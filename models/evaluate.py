"""Evaluate a captioner on a split: python -m models.evaluate --data DIR --split dev."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from models.catalogue.options import add_captioner_folder, add_dataset
from models.checkpoint import CheckpointError, load
from models.consensus import load_consensus
from models.datasets import DatasetError, open_dataset
from models.language import LanguageStatistics, language_statistics
from models.metrics import Scores, caption_images, score


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__)
    add_dataset(parser)
    parser.add_argument("--split", default="dev", help="split to use (default: dev)")
    add_captioner_folder(parser)
    parser.add_argument(
        "--beam", type=int, metavar="WIDTH", help="beam width (default: the captioner's)"
    )
    parser.add_argument(
        "--no-consensus",
        action="store_true",
        help="take the caption that the beam search ranks first, also if the captioner has a "
        "consensus",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.json", help="write the figures and captions"
    )
    options = parser.parse_args(arguments)
    try:
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
        dataset = open_dataset(options.data)
        examples = dataset.examples(options.split)
        captioner, card = load(options.captioner)
        beam = card.beam if options.beam is None else replace(card.beam, width=options.beam)
        consensus = None if options.no_consensus else load_consensus(options.captioner, captioner)
        captions = caption_images(captioner, dataset, examples, beam, consensus)
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"evaluate: {problem}", file=sys.stderr)
        return 2
    scores = score(captions, {example.name: example.captions for example in examples})
    language = language_statistics(list(captions.values()))
    _print(scores, language)
    if options.out:
        report = {
            "captioner": card.name,
            "split": options.split,
            "images": len(examples),
            "beam": beam.width,
            "consensus": consensus is not None,
            "figures": asdict(scores) | asdict(language),
            "captions": captions,
        }
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _print(scores: Scores, language: LanguageStatistics) -> None:
    labels = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr")
    for label, value in zip(labels, asdict(scores).values(), strict=True):
        print(f"{label:15}{value:7.3f}")
    print(f"{'distinct':15}{language.distinct:7.1%}")
    print(f"{'words a caption':15}{language.words:7.1f}")
    print(f"{'bad endings':15}{language.bad_endings:7.1%}")


if __name__ == "__main__":
    sys.exit(main())
