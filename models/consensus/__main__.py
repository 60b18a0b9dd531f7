"""Build a captioner's consensus, which chooses among the captions of its beam search.

    python -m models.consensus --data DIR [--data DIR ...] --captioner DIR

Of the captions that the beam search finds, the one that agrees best with how people described
similar training images is shown (Devlin et al., arXiv:1505.04467, 2015). The index of the training
images holds their features in 8 bits and the n-gram weights of their captions, and no image. It is
built from the splits train and extra of the datasets, tuned for CIDEr on their splits dev, and
written into the captioner's folder (consensus.npz), where it is used from then on.
"""

import argparse
import sys
from collections.abc import Sequence

import keras

from models.catalogue.options import add_captioner_folder, add_datasets
from models.checkpoint import CheckpointError, load
from models.consensus import ConsensusCard, save_consensus
from models.consensus.fitting import fit_consensus
from models.datasets import DatasetError

_DIMENSIONS, _MINIMUM_IMAGES = 256, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    keras.config.disable_interactive_logging()
    try:
        captioner, card = load(options.captioner)
        consensus, figures = fit_consensus(
            captioner, card.beam, options.data, options.dimensions, options.minimum_images
        )
        path = save_consensus(options.captioner, consensus, figures)
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"consensus: {problem}", file=sys.stderr)
        return 2
    _print(figures)
    print(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.consensus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_datasets(parser)
    add_captioner_folder(parser)
    parser.add_argument(
        "--dimensions",
        type=_positive,
        default=_DIMENSIONS,
        help=f"dimensions of the features (default: {_DIMENSIONS})",
    )
    parser.add_argument(
        "--minimum-images",
        type=_positive,
        default=_MINIMUM_IMAGES,
        metavar="N",
        help=f"leave out n-grams of fewer images (default: {_MINIMUM_IMAGES})",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _print(card: ConsensusCard) -> None:
    config = card.config
    print(
        f"{card.images} training images; {config.neighbours} neighbours, sharpness "
        f"{config.sharpness:g}, weight {config.weight:g}; {card.milliseconds:g} ms a caption"
    )
    for dev in card.dev:
        print(
            f"dev of {dev.data}, {dev.images} images: CIDEr {dev.cider_before:.3f} to "
            f"{dev.cider:.3f}, BLEU-4 {dev.bleu_4_before:.3f} to {dev.bleu_4:.3f}; "
            f"{dev.changed:.0%} of the captions changed"
        )


if __name__ == "__main__":
    sys.exit(main())
