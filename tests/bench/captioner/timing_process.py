"""Times the captioner: `python -m tests.bench.model_rounds CAPTIONER ROUNDS SECONDS`."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.int8 import QuantizedError, read_int8
from inference.captioning.lite_encoder import LiteEncoder
from inference.captioning.model import CaptionModel
from inference.startup import encoder_threads, use_one_thread
from models.preprocessing import squeeze
from tests.bench.footage import footage_path, read_footage
from tests.bench.machine import cpu_seconds, load_average
from tests.bench.orders import run_until_dismissed, say
from tests.bench.plain_captioner import PlainCaptioner

BEAM_WIDTH = 3
_ALTERNATIVES = 4
"""As many as the shipped model asks its search for."""
_WARM_UP = 3
_PICTURES = 25
_WAITING = (1, 2, 4)

Timed = dict[str, float]
Way = Callable[[NDArray[np.uint8]], tuple[str, Timed]]
Encode = Callable[[NDArray[np.uint8]], object]


async def run(folder: Path, rounds: int, seconds: float) -> None:
    """Caption the same pictures in all ways by turns, and tell what each round measured."""
    use_one_thread()
    model = await asyncio.to_thread(CaptionModel, folder)
    plain = await asyncio.to_thread(PlainCaptioner, folder, BEAM_WIDTH, _ALTERNATIVES)
    ways = {"shipped": _shipped(model), "plain": _plain(plain)}
    encoders = _encoders(model, folder)
    pictures = pictures_of_footage(model.image_size)
    await _round(model, ways, encoders, pictures[:_WARM_UP], 0)
    for _ in range(rounds):
        load = load_average()
        used = cpu_seconds(os.getpid())
        samples = await _round(model, ways, encoders, pictures, seconds)
        say(samples=samples, load_average=load, cpu_s=cpu_seconds(os.getpid()) - used)


async def _round(
    model: CaptionModel,
    ways: dict[str, Way],
    encoders: dict[str, Encode],
    pictures: list[NDArray[np.uint8]],
    seconds: float,
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
        samples.append(
            {
                **timed,
                "same_caption": len(texts) == 1,
                "encoders": await asyncio.to_thread(_encoder_times, encoders, picture),
                "rates": await asyncio.to_thread(_rates, model, pictures),
            }
        )
    return samples


def _encoders(model: CaptionModel, folder: Path) -> dict[str, Encode]:
    """What the shipped encoder is compared to."""
    graph = tf.function(lambda pixels: model.captioner.encoder(tf.cast(pixels, tf.float32)[None]))
    encoders: dict[str, Encode] = {"TensorFlow": graph}
    try:
        int8, _ = read_int8(folder)
    except QuantizedError:
        return encoders
    quantized = LiteEncoder(int8, encoder_threads())
    return {**encoders, "int8": lambda pixels: quantized(pixels[None])}


def _encoder_times(encoders: dict[str, Encode], picture: NDArray[np.uint8]) -> Timed:
    times = {}
    for name, encode in encoders.items():
        begun = time.perf_counter()
        np.asarray(encode(picture))
        times[name] = (time.perf_counter() - begun) * 1e3
    return times


def _rates(model: CaptionModel, pictures: list[NDArray[np.uint8]]) -> Timed:
    """Captions a second when so many wait."""
    rates = {}
    for waiting in _WAITING:
        begun = time.perf_counter()
        model.captions([pictures[place % len(pictures)] for place in range(waiting)], BEAM_WIDTH)
        rates[str(waiting)] = waiting / (time.perf_counter() - begun)
    return rates


def _shipped(model: CaptionModel) -> Way:
    def caption(picture: NDArray[np.uint8]) -> tuple[str, Timed]:
        begun = time.perf_counter()
        said = model.caption(picture, BEAM_WIDTH)
        total = (time.perf_counter() - begun) * 1e3
        timing = said.timing_ms
        return said.guess or said.text, {
            "encoder": timing.encoder,
            "decoder": timing.decoder,
            "total": total,
        }

    return caption


def _plain(plain: PlainCaptioner) -> Way:
    def caption(picture: NDArray[np.uint8]) -> tuple[str, Timed]:
        begun = time.perf_counter()
        text, encoder, decoder = plain.caption(picture)
        total = (time.perf_counter() - begun) * 1e3
        return text, {"encoder": encoder, "decoder": decoder, "total": total}

    return caption


def pictures_of_footage(side: int) -> list[NDArray[np.uint8]]:
    """Read pictures of the benchmark's footage, RGB [side, side, 3] each."""
    footage = read_footage(footage_path(), 640, 480)
    kept = footage[:: max(1, len(footage) // _PICTURES)]
    images = (np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in kept)
    return [squeeze(image, side) for image in images]


if __name__ == "__main__":
    asyncio.run(run_until_dismissed(run(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
