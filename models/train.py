"""Train a captioner: `python -m models.train --data DIR`.

The part of the encoder that is frozen runs once; then the rest is trained on its features. A run
that was stopped goes on from its last epoch when it is started again; one that starts from another
run's captioner goes on from its best epoch.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.datasets import DatasetError, open_together
from models.training import Run, TrainingConfig

_CONFIG = Path(__file__).parent / "configs" / "lite2-flickr8k.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        metavar="DIR",
        help="folder of the data set; may be given again, to train on several together",
    )
    parser.add_argument("--config", type=Path, default=_CONFIG, help="TOML file of the run")
    parser.add_argument("--run", type=Path, help="folder of the run (default: runs/NAME)")
    options = parser.parse_args(arguments)
    try:
        config = TrainingConfig.read(options.config)
        folder = options.run or Path("runs") / config.name
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(config, open_together(options.data), folder)
    except (DatasetError, OSError, RuntimeError, ValueError) as problem:
        print(f"train: {problem}", file=sys.stderr)
        return 2
    run.fit()
    print(f"the best captioner is in {folder / 'captioner'}; the curve in {folder / 'curve.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
