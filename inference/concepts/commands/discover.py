"""Discover the concepts of a word in a folder of images or a video file.

Writes concepts.json, and for each concept an image with its most typical segments, which are
cropped from the source.
"""

import argparse
import json
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from inference.captioners.opening import open_captioner
from inference.concepts import VERDICT_TEXTS
from inference.concepts.commands.footage import read_footage
from inference.concepts.discovery import Concept, Discovery, discover
from inference.concepts.patches import FolderCache, MemoryCache
from inference.explanations import Tile, draw_contact_sheet
from inference.output_folder import output_folder
from inference.progress import Progress
from inference.startup import quiet_stderr, use_one_thread
from models.catalogue import CaptionerReference, local_folder
from models.catalogue.options import add_captioner

FILE = "concepts.json"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `discover`."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of images, or video")
    parser.add_argument("--word", required=True, help="word whose concepts to discover")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    parser.add_argument(
        "--every",
        type=float,
        default=1.0,
        metavar="S",
        help="seconds between the frames taken from a video (default: 1)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=200,
        metavar="N",
        help="maximum number of images to read (default: 200)",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder to cache segments and activations in"
    )
    add_captioner(parser)


def run(options: argparse.Namespace) -> None:
    """Run `discover`.

    Raises:
        OSError: If a folder cannot be written to.
        ValueError: If the source, the word or an option is invalid, or there is no such captioner.
        models.checkpoint.CheckpointError: If the captioner cannot be loaded.
    """
    if not options.every > 0:
        raise ValueError(f"--every is {options.every:g}, but must be above 0 s")
    if options.limit < 1:
        raise ValueError(f"--limit is {options.limit}, but must be at least 1")
    captioner = local_folder(CaptionerReference.parse(options.captioner))
    with output_folder(options.out) as folder:
        use_one_thread()
        with quiet_stderr():
            model = open_captioner(captioner)
        footage = read_footage(options.source, model.resizing, options.every, options.limit)
        cache = FolderCache(options.cache) if options.cache else MemoryCache()
        work = discover(model, footage.images, options.word, video=footage.video, cache=cache)
        discovery = _run_with_bar(work)
        for concept in discovery.concepts:
            tiles = [Tile(crop, "", "") for crop in concept.crops]
            sheet = draw_contact_sheet(_heading(concept), [_description(concept)], tiles, None)
            sheet.save(folder / _file_name(concept))
        found = json.dumps(to_json(discovery, options.source.name), indent=1)
        (folder / FILE).write_text(found + "\n", encoding="utf-8")
    print("\n".join(summary_lines(discovery)))


def to_json(discovery: Discovery, source: str) -> dict[str, Any]:
    """Return the discovery as JSON values.

    Returns:
        - `source`, `word`, `notes`.
        - `pictures`: images that were read; `matching`: those with the word in their caption;
          `searched`: those searched for concepts; `scenes`: scenes of those with the word;
          `patches`: patches that were clustered.
        - `concepts`: `id`, `picture` (the file that shows it), `segments` and `pictures` of its
          cluster, and the fields of `findings.Evidence`.
        - `dropped`: `segments` and `pictures` of clusters that are not concepts, and `why`.
        - `false_positives`: the fields of `findings.FalsePositives`; null if nothing was tested.
    """
    return {
        "source": source,
        "word": discovery.word,
        "pictures": len(discovery.captioned),
        "matching": discovery.matching,
        "searched": discovery.searched,
        "scenes": discovery.scenes,
        "patches": discovery.patches,
        "concepts": [
            {
                "id": each.id,
                "picture": _file_name(each),
                "segments": each.cluster.size,
                "pictures": each.cluster.images,
                **asdict(each.evidence),
            }
            for each in discovery.concepts
        ],
        "dropped": [
            {"segments": each.size, "pictures": each.images, "why": each.drop_reason}
            for each in discovery.dropped
        ],
        "false_positives": discovery.false_positives and asdict(discovery.false_positives),
        "notes": list(discovery.notes),
    }


def summary_lines(discovery: Discovery) -> list[str]:
    """Describe the discovery in lines of text."""
    return [
        f"“{discovery.word}” is in {discovery.matching} of {len(discovery.captioned)} captions: "
        f"{discovery.scenes} scenes, {discovery.patches} segments, "
        f"{len(discovery.concepts)} concepts",
        *(f"{_heading(each)} {_description(each)}" for each in discovery.concepts),
        *([f"{discovery.false_positives.text()}."] if discovery.false_positives else []),
        *(f"Note: {note}." for note in discovery.notes),
    ]


def _run_with_bar(work: Generator[Progress, None, Discovery]) -> Discovery:
    bar_format = "{percentage:3.0f}% |{bar}| {elapsed}<{remaining} {desc}"
    with tqdm(total=1.0, bar_format=bar_format) as bar:
        while True:
            try:
                progress = next(work)
            except StopIteration as end:
                bar.update(1.0 - bar.n)
                discovery: Discovery = end.value
                return discovery
            bar.set_description_str(progress.doing, refresh=False)
            bar.update(progress.done - bar.n)


def _file_name(concept: Concept) -> str:
    return f"{concept.id}.png"


def _heading(concept: Concept) -> str:
    return f"{concept.id}: {VERDICT_TEXTS[concept.evidence.verdict]}."


def _description(concept: Concept) -> str:
    evidence, cluster = concept.evidence, concept.cluster
    images = "1 image" if cluster.images == 1 else f"{cluster.images} images"
    size = f"{cluster.size} similar segments in {images}."
    if evidence.tcav is None or evidence.effect is None:
        return size
    p = f" (p = {evidence.p:.2g})" if evidence.p is not None else ""
    return (
        f"{size} More of this concept would raise the word's logit in {evidence.tcav:.0%} of "
        f"{evidence.scenes} scenes; its mean effect is {abs(evidence.effect):.1f} times that of "
        f"random concepts{p}."
    )
