"""Calibrate a captioner's confidence or its tags.

    python -m models.calibrate --captioner CAPTIONER --data DIR [--data DIR ...]
    python -m models.calibrate --tags --captioner DIR --data DIR [--data DIR ...]

CAPTIONER is a folder or hf:OWNER/NAME[@REVISION]. The result is written to the model card of a
captioner that models.train trained; that of a published one is kept in the user's state folder and
used from then on. All figures are measured on images that the fit did not see, by five-fold
cross-validation, with the captions that people get: of the beam search and, if the captioner has
one, the consensus. The command prints the figures, and the lines of the model card (README.md) that
they are in. Build the consensus first, then calibrate the tags, then the confidence: whether a tag
names a word is part of the word's confidence.

A word is right if one of the people who describe the image says it, or a synonym. Its confidence is
the probability of that; a caption's is the probability that two thirds of its content words are
right. Captions of blank images, which are generated, are fitted on as wrong ones. The tenth of the
captions with the least confidence are below the threshold. Of these the tags are shown, or the part
that is probably right; the figures tell for how many there is one.

Tags use the split dev of a dataset if it has one, otherwise all of it. The thresholds are the
lowest at which the tags shown reach the precision, on each dataset and, as far as there are enough
of them, for each kind of object. Tags that would still be shown for blank images are penalized
until they are not. If the encoder's published weights are installed, the agreement of the tags
with those of the published network is measured too.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from models.calibration.predictors import open_predictor
from models.catalogue import CaptionerReference, local_folder, read_architecture
from models.catalogue.options import add_captioner, add_datasets
from models.checkpoint import CheckpointError, load, read_card, write_card
from models.datasets import DatasetError, open_combined
from models.measured import write_calibration

_SPLIT = "dev"
_PRECISION = 0.85
_INSTALL = f"{sys.executable} -m pip install --editable '.[evaluate]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parse(arguments)
    try:
        figures = _calibrate_tags(options) if options.tags else _calibrate_confidence(options)
        if options.out:
            options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"calibrate: {problem}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as problem:
        print(
            f"calibrate: {problem.name} is not installed; install it with: {_INSTALL}",
            file=sys.stderr,
        )
        return 2
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m models.calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_datasets(parser)
    parser.add_argument("--split", help=f"split to use, without --tags (default: {_SPLIT})")
    add_captioner(parser)
    parser.add_argument("--tags", action="store_true", help="calibrate the tags instead")
    parser.add_argument(
        "--precision",
        type=_share,
        metavar="SHARE",
        help="with --tags: share of the tags shown that must be right, in 0..1 "
        f"(default: {_PRECISION})",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures")
    options = parser.parse_args(arguments)
    if options.tags and options.split is not None:
        parser.error("--split cannot be used with --tags")
    if not options.tags and options.precision is not None:
        parser.error("--precision needs --tags")
    return options


def _calibrate_confidence(options: argparse.Namespace) -> dict[str, Any]:
    reference = CaptionerReference.parse(options.captioner)
    folder, split = local_folder(reference), options.split or _SPLIT
    # Imported here, as it needs the extra `evaluate`, which not everybody has installed.
    from models.calibration.card_lines import confidence_lines
    from models.calibration.fit_confidence import fit_confidence

    dataset = open_combined(options.data)
    examples = dataset.examples(split)
    own = read_architecture(folder) == "sightline"
    predictor = open_predictor(folder)
    calibration, figures, blank = fit_confidence(predictor, dataset, examples)
    report = {str(options.data[part]): asdict(each) for part, each in figures.items()}
    report["blank images"] = asdict(blank)
    if own:
        write_card(folder, replace(read_card(folder), confidence=calibration))
    else:
        about = {"split": split, "images": len(examples), "figures": report}
        path = write_calibration(folder, calibration, about)
    words = calibration.words
    fitted = {
        **asdict(replace(calibration, words=replace(words, offsets={}))),
        "words_with_offset": len(words.offsets),
    }
    named = {options.data[part].resolve().name: each for part, each in figures.items()}
    _print({"calibration": fitted} | report, confidence_lines(calibration, named, blank))
    if not own:
        print(f"\nWrote {path}, which Sightline uses from now on")
    return report


def _calibrate_tags(options: argparse.Namespace) -> dict[str, Any]:
    folder = local_folder(CaptionerReference.parse(options.captioner))
    if read_architecture(folder) != "sightline":
        raise ValueError(f"{options.captioner} has no tags to calibrate")
    from models.calibration.card_lines import tag_lines
    from models.calibration.fit_tags import TagFigures, fit_tags

    captioner, card = load(folder)
    precision = _PRECISION if options.precision is None else options.precision
    calibration, report = fit_tags(captioner, options.data, precision)
    write_card(folder, replace(card, tags=calibration))
    figures = {path.resolve().name: TagFigures(**report[str(path)]) for path in options.data}
    _print(report, tag_lines(figures))
    return report


def _print(report: dict[str, dict[str, Any]], card: Sequence[str]) -> None:
    for title, values in report.items():
        print(title)
        for name, value in values.items():
            print(f"  {name:28}{value}")
    print("\nFor the model card:\n", *card, sep="\n")


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
