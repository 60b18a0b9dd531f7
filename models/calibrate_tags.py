"""Calibrate a captioner's tags: `python -m models.calibrate_tags --captioner DIR --data DIR`.

Writes what it finds into the captioner's card; see `models.calibration.tags`. Of a data set the
split `dev` is
used if it has one, else all of it. All figures are of pictures that the fit did not see, by
cross-validation. The threshold is the lowest from which on the told tags are right as often as
asked; tags that are told of blank pictures even so are doubted until they are not. Where the
encoder's published weights are installed, the command also tells how far the tags are still those
of the published network.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from models.calibration.fit_tags import (
    _calibrate,
)
from models.checkpoint import DEFAULT, ReleaseError
from models.datasets import DatasetError

_PRECISION = 0.8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.calibrate_tags", description=__doc__)
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="folder of a data set; repeatable"
    )
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")
    parser.add_argument(
        "--precision",
        type=_share,
        default=_PRECISION,
        metavar="SHARE",
        help="share of the told tags that must be right, in 0..1 (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures")
    options = parser.parse_args(arguments)
    try:
        report = _calibrate(options.captioner, options.data, options.precision)
        if options.out:
            options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except (DatasetError, ReleaseError, OSError, ValueError) as problem:
        print(f"calibrate_tags: {problem}", file=sys.stderr)
        return 2
    for title, values in report.items():
        print(title)
        for name, value in values.items():
            print(f"  {name:16}{value}")
    return 0


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in 0..1")
    return share


if __name__ == "__main__":
    sys.exit(main())
