"""Measure whether explanations are true: `python -m inference.faithfulness --data DIR`.

For the words of captions: areas under their deletion and insertion curves, whether they disappear
when what mattered is blanked, whether maps change when the captioner's weights are randomised, and
whether they stay while a video's caption does. Takes about 15 minutes for 100 pictures on two
cores; one that was stopped goes on when it is started again. Writes `report.json` and
`faithfulness.webp`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference.captioning.model import CaptionModel
from inference.explanations.methods import METHODS
from inference.faithfulness.measurement import Journal, Said, caption, measure
from inference.faithfulness.randomisation import KerasEncoded, Similarity, randomise
from inference.faithfulness.report import Measurements, draw
from inference.faithfulness.stability import VideoError, pan, read_video, stability
from inference.startup import quiet, use_one_thread
from models.checkpoint import DEFAULT, ReleaseError
from models.datasets import DatasetError, open_dataset
from models.digests import weights_sha256
from models.preprocessing import squeeze

_METHODS = "readcam,gradcam,gradcam-total,hirescam,attention"
_RANDOMISED_PICTURES = 12
_SCENES = 20
_SEED = 0
_JOURNAL = "measured.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        methods = _methods(options.methods)
        options.out.mkdir(parents=True, exist_ok=True)
        photographs = _photographs(options.data, options.split, options.limit)
        measurements = _measure(options, methods, photographs)
    except (DatasetError, ReleaseError, VideoError, OSError, ValueError) as problem:
        print(f"faithfulness: {problem}", file=sys.stderr)
        return 2
    print("\n".join(measurements.lines()))
    report = measurements.to_json()
    (options.out / "report.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
    draw(options.out / "faithfulness.webp", report)
    (options.out / _JOURNAL).unlink()
    print(f"\nWrote {options.out / 'report.json'} and {options.out / 'faithfulness.webp'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.faithfulness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--split", default="dev", help="which images (default: dev)")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="how many of them (default: 100)"
    )
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")
    parser.add_argument("--methods", default=_METHODS, metavar="NAMES", help=f"default: {_METHODS}")
    parser.add_argument(
        "--video", type=Path, metavar="FILE", help="to measure stability on, not on pans"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs") / "faithfulness",
        metavar="DIR",
        help="for the report and the plot (default: runs/faithfulness)",
    )
    return parser


def _methods(names: str) -> list[str]:
    methods = list(dict.fromkeys(names.split(",")))
    for name in methods:
        if name not in METHODS or "word" not in METHODS[name].kinds:
            known = ", ".join(name for name, each in METHODS.items() if "word" in each.kinds)
            raise ValueError(f"no method that explains words is called {name!r}; there are {known}")
    return methods


def _photographs(data: Path, split: str, limit: int) -> list[NDArray[np.uint8]]:
    dataset = open_dataset(data)
    examples = dataset.examples(split)
    if limit < 1:
        raise ValueError(f"--limit is {limit}: one picture at least is needed")
    order = np.random.default_rng(_SEED).permutation(len(examples))[:limit]
    return [dataset.image(examples[index].name) for index in order]


def _measure(
    options: argparse.Namespace, methods: Sequence[str], photographs: list[NDArray[np.uint8]]
) -> Measurements:
    use_one_thread()
    with quiet():
        model = CaptionModel(options.captioner)
        randomised = KerasEncoded(options.captioner)
    side = model.image_size
    scenes = (
        [read_video(options.video, side)]
        if options.video
        else [pan(each, side) for each in photographs[:_SCENES]]
    )
    said = [caption(model, squeeze(each, side)) for each in photographs]
    run = {
        "weights": weights_sha256(options.captioner),
        "split": options.split,
        "limit": len(photographs),
        "methods": list(methods),
    }
    journal = Journal(options.out / _JOURNAL, run)
    for index, each in enumerate(tqdm(said, desc="words", unit="picture")):
        if index >= len(journal.pictures):
            journal.add(measure(model, each, methods, np.random.default_rng((_SEED, index))))
    captioned = [[caption(model, frame) for frame in frames] for frames in scenes]
    stable = {name: stability(model, captioned, name) for name in tqdm(methods, desc="stability")}
    return Measurements(
        captioner=model.card.name,
        weights_sha256=run["weights"],
        split=options.split,
        pictures=journal.pictures,
        randomised=_randomise(randomised, said[:_RANDOMISED_PICTURES], methods),
        stable=stable,
        footage=options.video.name if options.video else f"{len(scenes)} slow pans",
    )


def _randomise(
    model: KerasEncoded, said: Sequence[Said], methods: Sequence[str]
) -> list[dict[str, Similarity]]:
    return list(tqdm(randomise(model, said, methods), desc="randomisation", unit="stage"))


if __name__ == "__main__":
    sys.exit(main())
