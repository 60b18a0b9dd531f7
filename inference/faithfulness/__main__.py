"""Measure how faithful explanations are to the captioner.

For the words of captions, measures the areas under deletion and insertion curves, whether words
disappear when the most important regions are blanked, whether maps change when the captioner's
weights are randomised, and whether maps are stable while the caption of a video stays the same.
The images are drawn from the half of the split that takes part in no choice between methods, unless
--part says otherwise.
Takes about 15 minutes for 100 images on two cores with the shipped captioner, longer with larger
ones; an interrupted run continues when it is started again. Writes report.json and
faithfulness.webp. With --part choosing, the methods that are more faithful than chance are kept in
the user's state folder: the best of those that can be computed live is the captioner's live map
from then on.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference.captioners.opening import open_captioner
from inference.captioning import Precision
from inference.captioning.model import Ability, CaptionModel
from inference.explanations.methods import METHODS, available_methods
from inference.faithfulness.checks import check_image, markdown_lines, summarise_checks
from inference.faithfulness.checks import read_image as read_checked_image
from inference.faithfulness.given_maps import GivenMaps
from inference.faithfulness.journal import Journal
from inference.faithfulness.measurement import (
    Part,
    Sample,
    WordMaps,
    caption_image,
    images_of_part,
    measure,
    read_image,
)
from inference.faithfulness.randomisation import Similarity, randomise
from inference.faithfulness.report import Measurements, plot
from inference.faithfulness.stability import VideoError, measure_stability, pan, read_video
from inference.faithfulness.summary import BASELINES, verify
from inference.startup import quiet_stderr, use_one_thread
from models.catalogue import CaptionerError, CaptionerReference, local_folder
from models.catalogue.options import add_captioner, add_dataset
from models.catalogue.state import captioner_sha256
from models.checkpoint import CheckpointError
from models.datasets import DatasetError, open_dataset
from models.measured import write_verified

_METHODS = ("gradcam", "gradcam-total", "hirescam", "attention")
"""Measured by default, with the captioner's live methods, if they can explain it."""

_ALL = "all"
"""In place of the names of methods: every one that explains the captioner's words."""

_RANDOMISED_IMAGES = 12
_SCENES = 20
_SEED = 0
_JOURNAL, _CHECK_JOURNAL = "measured.jsonl", "checked.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        methods = _parse_methods(options.methods) if options.methods not in (None, _ALL) else None
        folder = local_folder(CaptionerReference.parse(options.captioner))
        options.out.mkdir(parents=True, exist_ok=True)
        given = _given_maps(options.maps)
        photographs = _read_photographs(options.data, options.split, options.part, options.limit)
        use_one_thread()
        with quiet_stderr():
            model = open_captioner(folder, options.precision)
        if options.check:
            if given:
                raise ValueError("--check takes no --maps: a frozen frame checks methods only")
            _check(options, model, methods or _word_methods(model), photographs)
            return 0
        every = options.methods == _ALL
        names = methods or (_word_methods(model) if every else _default_methods(model))
        _check_available(model, names)
        explaining: dict[str, WordMaps] = {name: METHODS[name] for name in names}
        measurements = _measure(options, model, explaining, given, photographs)
    except (DatasetError, CheckpointError, VideoError, OSError, ValueError) as problem:
        print(f"faithfulness: {problem}", file=sys.stderr)
        return 2
    print("\n".join(measurements.markdown_lines()))
    report = measurements.to_json()
    (options.out / "report.json").write_text(
        json.dumps(report, allow_nan=False) + "\n", encoding="utf-8"
    )
    plot(options.out / "faithfulness.webp", report)
    (options.out / _JOURNAL).unlink()
    print(f"\nWrote {options.out / 'report.json'} and {options.out / 'faithfulness.webp'}")
    try:
        print(_store(model, measurements))
    except (CaptionerError, OSError) as problem:
        print(f"faithfulness: {problem}", file=sys.stderr)
        return 2
    return 0


def _given_maps(sources: Sequence[str]) -> dict[str, GivenMaps]:
    """Import the functions of `--maps`, by the names that they have in the report."""
    given: dict[str, GivenMaps] = {}
    for source in dict.fromkeys(sources):
        maps = GivenMaps.load(source)
        name = source.rpartition(":")[2]
        for others, what in ((METHODS, "a method"), (BASELINES, "a baseline"), (given, "another")):
            if name in others:
                raise ValueError(f"--maps: {name!r} is the name of {what}; rename the function")
        given[name] = maps
    return given


def _store(model: CaptionModel, measurements: Measurements) -> str:
    """Keep which methods are faithful; return what was kept, or why nothing was, for people."""
    if measurements.part == "reporting":
        return "Not stored, as these images choose nothing: choose a live map with --part choosing"
    if missing := [name for name in model.live_methods if name not in measurements.stability]:
        return f"Not stored, as methods that can be live were not measured: {', '.join(missing)}"
    try:
        # Maps that are given cannot be chosen by the server.
        verified = verify(measurements.images, METHODS, model.live_methods)
    except ValueError as problem:
        return f"Not stored: {problem}"
    about = {
        "split": measurements.split,
        "part": measurements.part,
        "counts": measurements.counts(),
    }
    path = write_verified(model.folder, verified, about)
    names = ", ".join(verified) or "none"
    return f"More faithful than chance, the best first: {names}\nStored in {path}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.faithfulness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_dataset(parser)
    parser.add_argument("--split", default="dev", help="split of the dataset (default: dev)")
    parser.add_argument(
        "--part",
        choices=get_args(Part),
        default="reporting",
        help="half of the split, drawn by a fixed seed: choosing, to compare and tune methods, or "
        "reporting (the default), on which nothing is chosen; or all",
    )
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="number of images (default: 100)"
    )
    add_captioner(parser)
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="float32",
        help="of the encoder; int8 takes half the time (default: float32)",
    )
    parser.add_argument(
        "--methods",
        metavar="NAMES",
        help="explanation methods, separated by commas, or all, which takes four times as long "
        f"(default: the captioner's live methods, {', '.join(_METHODS)})",
    )
    parser.add_argument(
        "--maps",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="a function of an image (RGB, uint8 [S, S, 3]), of an image and a word, or of an "
        "image, its caption and a word, that returns a map [rows, columns], to be measured as "
        "well; can be given several times",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="check whether maps hold up, as on the page, for all methods, instead of measuring; "
        "4 to 5 hours of CPU time for 100 images, writes checks.json",
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


def _default_methods(model: CaptionModel) -> list[str]:
    names = {*model.live_methods, *_METHODS}
    return [name for name in available_methods(model) if name in names]


def _word_methods(model: CaptionModel) -> list[str]:
    return [name for name, each in available_methods(model).items() if "word" in each.kinds]


def _read_photographs(data: Path, split: str, part: Part, limit: int) -> list[NDArray[np.uint8]]:
    dataset = open_dataset(data)
    examples = dataset.examples(split)
    if limit < 1:
        raise ValueError(f"--limit is {limit}, but must be at least 1")
    order = images_of_part(len(examples), part)[:limit]
    return [dataset.image(examples[index].name) for index in order]


def _measure(
    options: argparse.Namespace,
    model: CaptionModel,
    methods: Mapping[str, WordMaps],
    given: Mapping[str, GivenMaps],
    photographs: list[NDArray[np.uint8]],
) -> Measurements:
    every = {**methods, **given}
    with quiet_stderr():
        variable = model.with_variable_weights() if model.can(Ability.VARIABLE_WEIGHTS) else None
    scenes = (
        [read_video(options.video, model.resizing)]
        if options.video
        else [pan(each, model.resizing) for each in photographs[:_SCENES]]
    )
    samples = [caption_image(model, model.preprocess(each)) for each in photographs]
    run = {
        "weights": captioner_sha256(model.folder),
        "precision": options.precision,
        "split": options.split,
        "part": options.part,
        "limit": len(photographs),
        "methods": list(methods),
        "maps": {each.source: each.digest for each in given.values()},
    }
    journal = Journal(options.out / _JOURNAL, run, read_image)
    for index, each in enumerate(tqdm(samples, desc="words", unit="image")):
        if index >= len(journal.images):
            journal.add(measure(model, each, every, np.random.default_rng((_SEED, index))))
    captioned = [[caption_image(model, frame) for frame in frames] for frames in scenes]
    stability = {
        name: measure_stability(model, captioned, maps)
        for name, maps in tqdm(every.items(), desc="stability")
    }
    return Measurements(
        captioner=model.card.name,
        weights_sha256=run["weights"],
        split=options.split,
        part=options.part,
        images=journal.images,
        # Maps that are given do not follow the captioner's weights.
        randomised=_randomise(variable, samples[:_RANDOMISED_IMAGES], methods) if variable else [],
        stability=stability,
        footage=options.video.name if options.video else f"{len(scenes)} slow pans",
    )


def _check(
    options: argparse.Namespace,
    model: CaptionModel,
    methods: Sequence[str],
    photographs: list[NDArray[np.uint8]],
) -> None:
    """Check maps, print the shares of the verdicts, and write them."""
    _check_available(model, methods)
    run = {
        "captioner": model.card.name,
        "weights": captioner_sha256(model.folder),
        "precision": options.precision,
        "split": options.split,
        "part": options.part,
        "limit": len(photographs),
        "methods": list(methods),
    }
    journal = Journal(options.out / _CHECK_JOURNAL, run, read_checked_image)
    for index, each in enumerate(tqdm(photographs, desc="checks", unit="image")):
        if index >= len(journal.images):
            sample = caption_image(model, model.preprocess(each))
            random = np.random.default_rng((_SEED, index))
            journal.add(check_image(model, sample, methods, random))
    images = journal.images
    print("\n".join(markdown_lines(images)))
    report = {**run, "shares": summarise_checks(images), "pictures": list(map(asdict, images))}
    text = json.dumps(report, allow_nan=False)
    (options.out / "checks.json").write_text(text + "\n", encoding="utf-8")
    (options.out / _CHECK_JOURNAL).unlink()
    print(f"\nWrote {options.out / 'checks.json'}")


def _check_available(model: CaptionModel, methods: Sequence[str]) -> None:
    available = _word_methods(model)
    for name in methods:
        if name not in available:
            raise ValueError(
                f"{name!r} cannot explain this captioner; available: {', '.join(available)}"
            )


def _randomise(
    model: CaptionModel, samples: Sequence[Sample], methods: Mapping[str, WordMaps]
) -> list[dict[str, Similarity]]:
    return list(tqdm(randomise(model, samples, methods), desc="randomisation", unit="stage"))


if __name__ == "__main__":
    sys.exit(main())
