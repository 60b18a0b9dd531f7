"""The captions of the demo, and of parts of photographs that may become its scenes.

`python -m tests.bench.demo` prints the captions of the demo as viewers read them, without waiting.
`python -m tests.bench.demo PHOTOGRAPH ...` prints the captions of crops of photographs, with the
arguments of `Crop` in `stream/sources/demo.py`: let a scene move among crops whose captions
are right, sure and alike.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning import Caption
from inference.engine import Engine, EngineUnavailable
from models.catalogue import SHIPPED_FOLDER
from stream.captioning import display_text, format_line
from stream.captioning.stream_captioner import StreamCaptioner
from stream.captioning.transcript import TranscriptLine
from stream.sources import SourceError, read_image
from stream.sources.demo import SCENE_S, SCENES, Crop, DemoSource
from stream.video import Frame

_SIZE = (640, 480)
_ZOOMS = (1.0, 1.2, 1.45)
_POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photographs", metavar="PHOTOGRAPH", type=Path, nargs="*")
    parser.add_argument("--captioner", metavar="DIR", type=Path, default=SHIPPED_FOLDER)
    parser.add_argument("--every", metavar="SECONDS", type=float, default=1.0)
    options = parser.parse_args()
    try:
        asyncio.run(_caption(options.photographs, options.captioner, options.every))
    except (EngineUnavailable, SourceError) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    return 0


async def _caption(photographs: Sequence[Path], captioner: Path, every_s: float) -> None:
    engine = Engine(captioner)
    engine.start()
    try:
        await engine.wait_loaded()
        for photograph in photographs:
            print(f"\n{photograph.name}")
            await _caption_crops(engine, read_image(photograph))
        if not photographs:
            await _caption_demo(engine, every_s)
    finally:
        await engine.stop()


async def _caption_demo(engine: Engine, every_s: float) -> None:
    source = DemoSource(*_SIZE)
    with ThreadPoolExecutor(1) as executor:
        captioner = StreamCaptioner(engine, executor)
        for number, scene in enumerate(SCENES):
            print(f"\n{scene.file}")
            captions = []
            for time_in_scene in np.arange(0.0, SCENE_S, every_s):
                at_s = number * SCENE_S + float(time_in_scene)
                frame = Frame(source.frame_at(at_s), note=scene.note)
                captioned = await captioner.caption(frame, at_s, None)
                captions.append(captioned.caption)
                print(format_line(TranscriptLine(at_s, captioned)))
            print(_summary(captions))


async def _caption_crops(engine: Engine, image: NDArray[np.uint8]) -> None:
    assert engine.info
    height, width, _ = image.shape
    places = set()
    for zoom, y, x in itertools.product(_ZOOMS, _POSITIONS, _POSITIONS):
        left, top, size = place = Crop(zoom, x, y).to_pixels(width, height, _SIZE[0] / _SIZE[1])
        if place in places:
            continue
        places.add(place)
        rows = slice(round(top), round(top + size * _SIZE[1] / _SIZE[0]))
        part = image[rows, round(left) : round(left + size)]
        shown = np.asarray(cv2.resize(part, _SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
        caption = await engine.caption(engine.info.resizing.apply(shown))
        print(f"Crop({zoom}, {x}, {y})".ljust(22), _describe(caption))


def _summary(captions: Sequence[Caption]) -> str:
    sure = sum(caption.fallback is None for caption in captions)
    confidence = statistics.mean(caption.confidence or 0.0 for caption in captions)
    texts = len({caption.guess or caption.text for caption in captions})
    return (
        f"  sure {sure} of {len(captions)} times, confidence {confidence:.0%} on average, "
        f"{texts} different captions"
    )


def _describe(caption: Caption) -> str:
    guess = f" of “{caption.guess}”" if caption.guess else ""
    tags = "".join(f"; {tag.text} {tag.prob:.0%}" for tag in caption.tags)
    return f"{display_text(caption)}  ({caption.confidence or 0.0:.0%} sure{guess}{tags})"


if __name__ == "__main__":
    sys.exit(main())
