"""Times the captioner: `python -m tests.bench.model_rounds CAPTIONER ROUNDS SECONDS`."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.threads import use_one_thread
from models.pictures import squeeze
from tests.bench.footage import footage_path, read_footage
from tests.bench.machine import cpu_seconds, load_average
from tests.bench.orders import run_until_dismissed, say
from tests.bench.plain_captioner import PlainCaptioner

BEAM_WIDTH = 3
_ALTERNATIVES = 4
"""As many as the shipped model asks its search for."""
_WARM_UP = 3
_PICTURES = 25

Timed = dict[str, float]
Way = Callable[[NDArray[np.uint8]], tuple[str, Timed]]


async def run(folder: Path, rounds: int, seconds: float) -> None:
    """Caption the same pictures in both ways by turns, and tell what each round measured."""
    use_one_thread()
    model = await asyncio.to_thread(CaptionModel, folder)
    plain = await asyncio.to_thread(PlainCaptioner, folder, BEAM_WIDTH, _ALTERNATIVES)
    ways = {"shipped": _shipped(model), "plain": _plain(plain)}
    pictures = _pictures(model.image_size)
    for picture in pictures[:_WARM_UP]:
        for way in ways.values():
            await asyncio.to_thread(way, picture)
    for _ in range(rounds):
        load = load_average()
        used = cpu_seconds(os.getpid())
        samples = await _round(ways, pictures, seconds)
        say(samples=samples, load_average=load, cpu_s=cpu_seconds(os.getpid()) - used)


async def _round(
    ways: dict[str, Way], pictures: list[NDArray[np.uint8]], seconds: float
) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not samples:
        picture = pictures[len(samples) % len(pictures)]
        # Who goes first alternates: the second finds the caches warm, or the core busy.
        order = list(ways) if len(samples) % 2 else list(reversed(ways))
        found = {name: await asyncio.to_thread(ways[name], picture) for name in order}
        texts = {text for text, _ in found.values()}
        timed = {name: times for name, (_, times) in found.items()}
        samples.append({**timed, "same_caption": len(texts) == 1})
    return samples


def _shipped(model: CaptionModel) -> Way:
    def caption(picture: NDArray[np.uint8]) -> tuple[str, Timed]:
        begun = time.perf_counter()
        said = model.caption(picture, BEAM_WIDTH)
        total = (time.perf_counter() - begun) * 1e3
        timing = said.timing_ms
        return said.text, {"encoder": timing.encoder, "decoder": timing.decoder, "total": total}

    return caption


def _plain(plain: PlainCaptioner) -> Way:
    def caption(picture: NDArray[np.uint8]) -> tuple[str, Timed]:
        begun = time.perf_counter()
        text, encoder, decoder = plain.caption(picture)
        total = (time.perf_counter() - begun) * 1e3
        return text, {"encoder": encoder, "decoder": decoder, "total": total}

    return caption


def _pictures(side: int) -> list[NDArray[np.uint8]]:
    footage = read_footage(footage_path(), 640, 480)
    kept = footage[:: max(1, len(footage) // _PICTURES)]
    images = (np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in kept)
    return [squeeze(image, side) for image in images]


if __name__ == "__main__":
    asyncio.run(run_until_dismissed(run(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
