"""Learn to predict the maps of a captioner's words.

Captions training images, scores each caption in masked copies of its image, and fits a network
that predicts from the encoder's grid and the decoder's state how the probability of each word
depends on what is visible. Writes word-maps.npz into the captioner's folder, which then offers the
method `learned`. The file contains no image of the dataset. The split dev has no part in it.

Scores are cached, so an interrupted run continues when it is started again, and further images add
to those of an earlier run. 1,000 images take about 6 minutes of CPU time with the shipped captioner
in int8; the fit takes another minute. What the maps explain is printed for a tenth of the images,
which choose the epoch; measure the maps with python -m inference.faithfulness.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from tqdm import tqdm

from inference.captioners.opening import open_captioner
from inference.captioning import Precision
from inference.captioning.encoder_cache import cache_folder
from inference.captioning.model import CaptionModel
from inference.explanations.learn.fitting import fit
from inference.explanations.learn.masked_scores import CHUNK, masked_scores
from inference.explanations.map_head import HeadCard, save_head
from inference.startup import quiet_stderr, use_one_thread
from models.catalogue.options import add_captioner_folder, add_datasets
from models.catalogue.state import captioner_sha256
from models.checkpoint import CheckpointError
from models.datasets import Dataset, DatasetError, open_combined

_SPLIT = "train"
_SEED = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        use_one_thread()
        dataset = open_combined(options.data)
        with quiet_stderr():
            model = open_captioner(options.captioner, options.precision)
        print(_learn(options, model, dataset))
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"learn: {problem}", file=sys.stderr)
        return 2
    return 0


def _learn(options: argparse.Namespace, model: CaptionModel, dataset: Dataset) -> str:
    """Learn the maps; return the result, for people."""
    digest = captioner_sha256(options.captioner)
    examples = dataset.examples(_SPLIT)
    order = np.random.default_rng(_SEED).permutation(len(examples))[: options.images]
    names = [examples[index].name for index in order]
    cache = options.cache or cache_folder().parent / "masked-scores"
    folder = cache / f"{digest[:32]}-{options.precision}"
    data = [str(each.resolve()) for each in options.data]
    files = masked_scores(model, dataset, names, options.masks, folder, data)
    progress = tqdm(files, "masked images", -(-len(names) // CHUNK), unit="file")
    paths = list(progress)
    with tqdm(total=options.epochs, desc="fit", unit="epoch") as progress:

        def report(explained: float) -> None:
            progress.set_postfix(explained=f"{explained:.3f}")
            progress.update()

        found = fit(paths, model.wording, model.live_methods[0], options.epochs, report, _SEED)
    card = HeadCard(
        weights_sha256=digest,
        images=found.images,
        masks=options.masks,
        explained=round(found.explained, 4),
        explained_by_base=round(found.explained_by_base, 4),
    )
    path = save_head(options.captioner, found.head, card)
    return (
        f"{path}: fitted to {card.images} images. Of the variance of the words' probabilities in "
        f"masked images it explains {card.explained:.0%}, {found.head.base} "
        f"{card.explained_by_base:.0%}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.explanations.learn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_datasets(parser)
    add_captioner_folder(parser)
    parser.add_argument(
        "--images", type=int, default=4000, metavar="N", help="number of images (default: 4000)"
    )
    parser.add_argument(
        "--masks",
        type=int,
        default=16,
        metavar="N",
        help="masked copies of each image, an even number (default: 16)",
    )
    parser.add_argument(
        "--epochs", type=int, default=40, metavar="N", help="passes of the fit (default: 40)"
    )
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="float32",
        help="of the encoder that scores masked images; int8 takes half the time "
        "(default: float32)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder for the scores, 0.25 MB for each image (default: "
        "~/.cache/sightline/masked-scores)",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    for name, least in (("images", 10), ("masks", 2), ("epochs", 1)):
        value = getattr(options, name)
        if value < least:
            raise ValueError(f"--{name} is {value}, but must be at least {least}")
    if options.masks % 2:
        raise ValueError(f"--masks is {options.masks}, but must be even: masks come in pairs")


if __name__ == "__main__":
    sys.exit(main())
