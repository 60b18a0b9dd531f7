"""Train a captioner on one or more datasets.

    python -m models.train --data DIR

The frozen part of the encoder runs once; the rest is trained on its cached features. A stopped run
resumes after its last complete epoch when it is started again. A run that starts from another run's
captioner starts from its best epoch.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.catalogue.options import add_datasets
from models.datasets import DatasetError, open_combined
from models.training import Run, TrainingConfig

_CONFIG = Path(__file__).parent / "configs" / "lite2-flickr8k.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_datasets(parser)
    parser.add_argument(
        "--config",
        type=Path,
        default=_CONFIG,
        metavar="FILE",
        help="TOML file with the configuration (default: lite2-flickr8k)",
    )
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="folder of the run (default: runs/NAME)"
    )
    options = parser.parse_args(arguments)
    try:
        config = TrainingConfig.read(options.config)
        folder = options.run or Path("runs") / config.name
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(config, open_combined(options.data), folder)
    except (DatasetError, OSError, RuntimeError, ValueError) as problem:
        print(f"train: {problem}", file=sys.stderr)
        return 2
    run.fit()
    print(f"best captioner: {folder / 'captioner'}; curve: {folder / 'curve.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
