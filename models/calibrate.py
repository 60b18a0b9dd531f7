"""Calibrate a captioner's doubt: `python -m models.calibrate --captioner DIR --data DIR`.

Writes what it finds into the captioner's card; see `models.calibration.confidence`. All figures
are of pictures that
the fit did not see: each half of the pictures is measured with the fit of the other.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from models.calibration.fit_confidence import (
    calibrate,
)
from models.checkpoint import DEFAULT, ReleaseError, load, write_card
from models.datasets import DatasetError, open_dataset


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.calibrate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--split", default="dev", help="which images (default: dev)")
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures")
    options = parser.parse_args(arguments)
    try:
        dataset = open_dataset(options.data)
        captioner, card = load(options.captioner)
        doubt, figures = calibrate(captioner, card.beam, dataset, dataset.examples(options.split))
        write_card(options.captioner, replace(card, doubt=doubt))
        if options.out:
            options.out.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    except (DatasetError, ReleaseError, OSError, ValueError) as problem:
        print(f"calibrate: {problem}", file=sys.stderr)
        return 2
    for name, value in (asdict(doubt) | asdict(figures)).items():
        print(f"{name:22}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
