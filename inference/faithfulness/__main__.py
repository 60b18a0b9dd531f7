"""Measure how faithful explanations are to the captioner.

For the words of captions, measures the areas under deletion and insertion curves, whether words
disappear when the most important regions are blanked, whether maps change when the captioner's
weights are randomised, and whether maps are stable while the caption of a video stays the same.
Takes about 15 minutes for 100 images on two cores; an interrupted run continues when it is started
again. Writes report.json and faithfulness.webp.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference.captioners.opening import open_captioner
from inference.captioning.model import Ability, CaptionModel
from inference.explanations.methods import METHODS, available_methods
from inference.faithfulness.measurement import Journal, Sample, caption_image, measure
from inference.faithfulness.randomisation import Similarity, randomise
from inference.faithfulness.report import Measurements, plot
from inference.faithfulness.stability import VideoError, measure_stability, pan, read_video
from inference.startup import quiet_stderr, use_one_thread
from models.checkpoint import DEFAULT_CHECKPOINT, CheckpointError
from models.datasets import DatasetError, open_dataset
from models.digests import weights_sha256
from models.preprocessing import resize_to_square

_METHODS = "readcam,gradcam,gradcam-total,hirescam,attention"
_RANDOMISED_IMAGES = 12
_SCENES = 20
_SEED = 0
_JOURNAL = "measured.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        methods = _parse_methods(options.methods)
        options.out.mkdir(parents=True, exist_ok=True)
        photographs = _read_photographs(options.data, options.split, options.limit)
        measurements = _measure(options, methods, photographs)
    except (DatasetError, CheckpointError, VideoError, OSError, ValueError) as problem:
        print(f"faithfulness: {problem}", file=sys.stderr)
        return 2
    print("\n".join(measurements.markdown_lines()))
    report = measurements.to_json()
    (options.out / "report.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
    plot(options.out / "faithfulness.webp", report)
    (options.out / _JOURNAL).unlink()
    print(f"\nWrote {options.out / 'report.json'} and {options.out / 'faithfulness.webp'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.faithfulness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--split", default="dev", help="split of the dataset (default: dev)")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="number of images (default: 100)"
    )
    parser.add_argument(
        "--captioner", type=Path, default=DEFAULT_CHECKPOINT, help="folder of the captioner"
    )
    parser.add_argument(
        "--methods",
        default=_METHODS,
        metavar="NAMES",
        help=f"explanation methods, separated by commas (default: {_METHODS})",
    )
    parser.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="video to measure stability on (default: slow pans over the images)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs") / "faithfulness",
        metavar="DIR",
        help="output folder (default: runs/faithfulness)",
    )
    return parser


def _parse_methods(names: str) -> list[str]:
    methods = list(dict.fromkeys(names.split(",")))
    available = [name for name, each in METHODS.items() if "word" in each.kinds]
    for name in methods:
        if name not in available:
            raise ValueError(
                f"{name!r} is no method that explains words; available: {', '.join(available)}"
            )
    return methods


def _read_photographs(data: Path, split: str, limit: int) -> list[NDArray[np.uint8]]:
    dataset = open_dataset(data)
    examples = dataset.examples(split)
    if limit < 1:
        raise ValueError(f"--limit is {limit}, but must be at least 1")
    order = np.random.default_rng(_SEED).permutation(len(examples))[:limit]
    return [dataset.image(examples[index].name) for index in order]


def _measure(
    options: argparse.Namespace, methods: Sequence[str], photographs: list[NDArray[np.uint8]]
) -> Measurements:
    use_one_thread()
    with quiet_stderr():
        model = open_captioner(options.captioner)
        _check_available(model, methods)
        variable = model.with_variable_weights() if model.can(Ability.VARIABLE_WEIGHTS) else None
    side = model.image_size
    scenes = (
        [read_video(options.video, side)]
        if options.video
        else [pan(each, side) for each in photographs[:_SCENES]]
    )
    samples = [caption_image(model, resize_to_square(each, side)) for each in photographs]
    run = {
        "weights": weights_sha256(options.captioner),
        "split": options.split,
        "limit": len(photographs),
        "methods": list(methods),
    }
    journal = Journal(options.out / _JOURNAL, run)
    for index, each in enumerate(tqdm(samples, desc="words", unit="image")):
        if index >= len(journal.images):
            journal.add(measure(model, each, methods, np.random.default_rng((_SEED, index))))
    captioned = [[caption_image(model, frame) for frame in frames] for frames in scenes]
    stability = {
        name: measure_stability(model, captioned, name) for name in tqdm(methods, desc="stability")
    }
    return Measurements(
        captioner=model.card.name,
        weights_sha256=run["weights"],
        split=options.split,
        images=journal.images,
        randomised=_randomise(variable, samples[:_RANDOMISED_IMAGES], methods) if variable else [],
        stability=stability,
        footage=options.video.name if options.video else f"{len(scenes)} slow pans",
    )


def _check_available(model: CaptionModel, methods: Sequence[str]) -> None:
    available = [name for name, each in available_methods(model).items() if "word" in each.kinds]
    for name in methods:
        if name not in available:
            raise ValueError(
                f"{name!r} cannot explain this captioner; available: {', '.join(available)}"
            )


def _randomise(
    model: CaptionModel, samples: Sequence[Sample], methods: Sequence[str]
) -> list[dict[str, Similarity]]:
    return list(tqdm(randomise(model, samples, methods), desc="randomisation", unit="stage"))


if __name__ == "__main__":
    sys.exit(main())
