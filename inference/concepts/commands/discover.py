"""Discover the concepts of a word in a folder of pictures or a video file.

Writes `concepts.json`, and a sheet of the most typical segments of each concept: they are cut from
the pictures themselves. Takes about a minute for 50 pictures on two cores.
"""

import argparse
import json
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from inference.captioning.model import CaptionModel
from inference.concepts.discovery import Concept, Discovery, discover
from inference.concepts.footage import read_footage
from inference.concepts.patches import FolderCache, MemoryCache
from inference.explanations import Tile, draw_sheet
from inference.output_folder import output_folder
from inference.progress import Step
from inference.startup import quiet, use_one_thread
from models.checkpoint import DEFAULT

FILE = "concepts.json"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder or video file")
    parser.add_argument("--word", required=True, help="that the captioner says")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for what is found")
    parser.add_argument(
        "--every",
        type=float,
        default=1.0,
        metavar="S",
        help="seconds between frames that are taken from a video (default: 1)",
    )
    parser.add_argument(
        "--limit", type=int, default=200, metavar="N", help="pictures to read (default: 200)"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keeps what was computed of each picture"
    )
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")


def discover_concepts(options: argparse.Namespace) -> None:
    """Run the command.

    Raises:
        OSError: If a folder cannot be written to.
        ValueError: If the source, the word or an option is none.
        models.checkpoint.ReleaseError: If the captioner cannot be loaded.
    """
    if not options.every > 0:
        raise ValueError(f"--every is {options.every:g}: more than 0 s are needed")
    if options.limit < 1:
        raise ValueError(f"--limit is {options.limit}: one picture at least is needed")
    with output_folder(options.out) as place:
        use_one_thread()
        with quiet():
            model = CaptionModel(options.captioner)
        footage = read_footage(options.source, model.image_size, options.every, options.limit)
        cache = FolderCache(options.cache) if options.cache else MemoryCache()
        work = discover(model, footage.pictures, options.word, video=footage.video, cache=cache)
        discovery = _shown(work)
        for concept in discovery.concepts:
            sheet = draw_sheet(_heading(concept), [_note(concept)], _tiles(concept), None)
            sheet.save(place / _file(concept))
        found = json.dumps(to_json(discovery, options.source.name), indent=1)
        (place / FILE).write_text(found + "\n", encoding="utf-8")
    print("\n".join(lines(discovery)))


def to_json(discovery: Discovery, source: str) -> dict[str, Any]:
    """Return what was found as JSON values.

    Returns:
        - `source`, `word`, `notes`.
        - `pictures` that were read, in how many the word is `said`, in how many concepts were
          `sought`, how many `scenes` the former are, and how many `patches` were clustered.
        - `concepts`: `id`, `picture` (the file that shows it), `segments` and `pictures` of its
          cluster, `accuracy` of its vectors, and what `findings.Evidence` holds.
        - `dropped`: `segments` and `pictures` of clusters that are no concepts, and `why`.
    """
    return {
        "source": source,
        "word": discovery.word,
        "pictures": len(discovery.captioned),
        "said": discovery.pictures,
        "sought": discovery.sought,
        "scenes": discovery.scenes,
        "patches": discovery.patches,
        "concepts": [
            {
                "id": each.id,
                "picture": _file(each),
                "segments": each.cluster.size,
                "pictures": each.cluster.pictures,
                "accuracy": each.tested.cavs.accuracy,
                **asdict(each.evidence),
            }
            for each in discovery.concepts
        ],
        "dropped": [
            {"segments": each.size, "pictures": each.pictures, "why": each.dropped}
            for each in discovery.dropped
        ],
        "notes": list(discovery.notes),
    }


def lines(discovery: Discovery) -> list[str]:
    """Tell what was found, for people."""
    return [
        f"{discovery.pictures} of {len(discovery.captioned)} pictures say `{discovery.word}`: "
        f"{discovery.scenes} scenes, {discovery.patches} segments, "
        f"{len(discovery.concepts)} concepts",
        *(f"{_heading(each)} {_note(each)}" for each in discovery.concepts),
        *(f"Note: {note}." for note in discovery.notes),
    ]


def _shown(work: Generator[Step, None, Discovery]) -> Discovery:
    """Do the work, with a bar."""
    form = "{percentage:3.0f}% |{bar}| {elapsed}<{remaining} {desc}"
    with tqdm(total=1.0, bar_format=form) as bar:
        while True:
            try:
                step = next(work)
            except StopIteration as end:
                bar.update(1.0 - bar.n)
                discovery: Discovery = end.value
                return discovery
            bar.set_description_str(step.doing, refresh=False)
            bar.update(step.done - bar.n)


def _file(concept: Concept) -> str:
    return f"{concept.id}.png"


def _heading(concept: Concept) -> str:
    return f"{concept.id}: {concept.evidence.verdict}."


def _note(concept: Concept) -> str:
    evidence, cluster = concept.evidence, concept.cluster
    pictures = "1 picture" if cluster.pictures == 1 else f"{cluster.pictures} pictures"
    told = f"{cluster.size} segments of {pictures} look like these."
    if evidence.tcav is None or evidence.tcav_random is None:
        return told
    told += (
        f" More of it would raise the word's logit in {evidence.tcav:.0%} of {evidence.scenes} "
        f"scenes; of random concepts, in {evidence.tcav_random:.0%}"
    )
    return f"{told} (p = {evidence.p:.2g})." if evidence.p is not None else f"{told}."


def _tiles(concept: Concept) -> list[Tile]:
    return [Tile(crop, "", "") for crop in concept.crops]
