"""Average the weights of captioners that were trained from one another.

    python -m models.training.average --captioner DIR --captioner DIR --out DIR --data DIR

The average of a captioner and of the one that its training started from can be better than both
(Wortsman et al., "Robust Fine-tuning of Zero-shot Models", CVPR 2022). The captioners need the same
architecture and the same vocabulary. The result has the name, the data and the search of the last
one, and no calibration. With --data it is evaluated on each dataset's development split, and the
means are written to its model card.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from models.captioner import Captioner
from models.catalogue.options import add_datasets
from models.checkpoint import CheckpointError, ModelCard, load, save
from models.datasets import Dataset, DatasetError, open_dataset
from models.language import language_statistics
from models.metrics import caption_images, score

_SPLIT = "dev"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        datasets = [(each.resolve().name, open_dataset(each)) for each in options.data]
        loaded = [load(folder) for folder in options.captioner]
        captioner = average([each for each, _ in loaded], options.share)
        card = replace(loaded[-1][1], figures={}, confidence=None, tags=None, verified=())
        if datasets:
            card = replace(card, figures=_evaluate(captioner, card, datasets))
        save(options.out, captioner, card)
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"average: {problem}", file=sys.stderr)
        return 2
    print(f"written to {options.out}")
    return 0


def average(captioners: Sequence[Captioner], shares: Sequence[float]) -> Captioner:
    """Average weights.

    Args:
        captioners: The captioners, which are not changed, except the last.
        shares: Of each captioner, positive; they are divided by their sum. Empty for equal shares.

    Returns:
        The last captioner, with the mean of all captioners' weights.

    Raises:
        ValueError: If the numbers of captioners and shares do not match, a share is not positive,
            or the captioners have different architectures or vocabularies.
    """
    shares = shares or [1.0] * len(captioners)
    if len(captioners) < 2:
        raise ValueError("give --captioner at least twice")
    if len(shares) != len(captioners):
        raise ValueError(
            f"there are {len(captioners)} captioners, but {len(shares)} shares; give --share once "
            "for each captioner, or never"
        )
    if not all(0 < share < float("inf") for share in shares):
        raise ValueError("a share must be a positive number")
    last = captioners[-1]
    for other in captioners:
        if other.config != last.config or other.vocabulary.words != last.vocabulary.words:
            raise ValueError(
                "the captioners differ in their architecture or their vocabulary; average only "
                "captioners of which one was trained from the other"
            )
    weights = [[each for part in one.parts for each in part.weights] for one in captioners]
    for variables in zip(*weights, strict=True):
        values = [np.asarray(variable, np.float64) for variable in variables]
        variables[-1].assign(np.average(values, axis=0, weights=shares).astype(np.float32))
    return last


def _evaluate(
    captioner: Captioner, card: ModelCard, datasets: Sequence[tuple[str, Dataset]]
) -> dict[str, float]:
    figures = []
    for name, dataset in datasets:
        examples = dataset.examples(_SPLIT)
        captions = caption_images(captioner, dataset, examples, card.beam)
        scores = score(captions, {example.name: example.captions for example in examples})
        figures.append(asdict(scores) | asdict(language_statistics(list(captions.values()))))
        print(
            f"{_SPLIT} of {name}, {len(examples)} images: CIDEr {scores.cider:.3f}, BLEU-4 "
            f"{scores.bleu_4:.3f}"
        )
    return {key: round(float(np.mean([each[key] for each in figures])), 4) for key in figures[0]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.average",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--captioner",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="folder of a captioner; repeatable",
    )
    parser.add_argument(
        "--share",
        type=float,
        action="append",
        default=[],
        help="its share, in the order of the captioners (default: equal shares)",
    )
    add_datasets(parser, required=False)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the averaged captioner"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
