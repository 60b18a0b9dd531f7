"""Concepts of a captioner: `python -m inference.concepts discover|fit ...`."""

import argparse
import sys
from collections.abc import Sequence

from inference.concepts.commands import discover, fit
from models.checkpoint import CheckpointError
from models.datasets import DatasetError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m inference.concepts",
        description="Find the visual concepts that a captioner's words depend on.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    discover_parser = commands.add_parser(
        "discover",
        help="discover the concepts of a word in your own images or video",
        description=discover.__doc__,
    )
    discover.add_options(discover_parser)
    discover_parser.set_defaults(run=discover.run)
    fit_parser = commands.add_parser(
        "fit", help="fit a captioner's concept bank on a dataset", description=fit.__doc__
    )
    fit.add_options(fit_parser)
    fit_parser.set_defaults(run=fit.run)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"concepts: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
