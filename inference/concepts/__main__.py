"""Concepts that a captioner thinks in: `python -m inference.concepts discover|fit ...`."""

import argparse
import sys
from collections.abc import Sequence

from inference.concepts import discover_command, fit_command
from models.checkpoint import ReleaseError
from models.datasets import DatasetError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m inference.concepts", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    discover = commands.add_parser(
        "discover",
        help="discover the concepts of a word in pictures of yours",
        description=discover_command.__doc__,
    )
    discover_command.add_options(discover)
    discover.set_defaults(run=discover_command.discover_concepts)
    fit = commands.add_parser("fit", help="fit the concept bank", description=fit_command.__doc__)
    fit_command.add_options(fit)
    fit.set_defaults(run=fit_command.fit)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (DatasetError, ReleaseError, OSError, ValueError) as problem:
        print(f"concepts: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
