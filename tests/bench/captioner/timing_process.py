"""Time captions by the shipped captioner and by plain Keras.

`python -m tests.bench.captioner.timing_process CAPTIONER ROUNDS SECONDS` sends the samples of each
round.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before TensorFlow: libsrtp crashes if it is loaded after it, and reading footage loads it.
import aiortc  # noqa: F401
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.int8 import QuantizedError, read_int8
from inference.startup import encoder_threads, use_one_thread
from models.lite import LiteNetwork
from tests.bench.captioner.keras_captioner import KerasCaptioner
from tests.bench.machine import cpu_seconds, load_average
from tests.support.child_process import run_until_stopped, send
from tests.support.load.footage import footage_images

BEAM_WIDTH = 3
_ALTERNATIVES = 4
"""Alternatives per word, as the shipped captioner requests."""
_WARM_UP = 3
"""Captions before the first round."""
_BATCH_SIZES = (1, 2, 4)

Image = NDArray[np.uint8]
Times = dict[str, float]
"""Milliseconds by name."""
TimedCaptioner = Callable[[Image], tuple[str, Times]]
Encode = Callable[[Image], object]


async def run(folder: Path, rounds: int, seconds: float) -> None:
    """Caption the same images by all methods in turn, and send the samples of each round."""
    use_one_thread()
    model = await asyncio.to_thread(LstmCaptionModel, folder)
    plain = await asyncio.to_thread(KerasCaptioner, folder, BEAM_WIDTH, _ALTERNATIVES)
    captioners = {"shipped": _time_shipped(model), "keras": _time_keras(plain)}
    encoders = _encoders(model, folder)
    images = footage_images(model.image_size)
    await _measure_round(model, captioners, encoders, images[:_WARM_UP], 0)
    for _ in range(rounds):
        load = load_average()
        used = cpu_seconds(os.getpid())
        samples = await _measure_round(model, captioners, encoders, images, seconds)
        send(samples=samples, load_average=load, cpu_s=cpu_seconds(os.getpid()) - used)


async def _measure_round(
    model: LstmCaptionModel,
    captioners: dict[str, TimedCaptioner],
    encoders: dict[str, Encode],
    images: list[Image],
    seconds: float,
) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not samples:
        image = images[len(samples) % len(images)]
        # The order alternates: the second method finds warm caches or a busy core.
        order = list(captioners) if len(samples) % 2 else list(reversed(captioners))
        results = {name: await asyncio.to_thread(captioners[name], image) for name in order}
        texts = {text for text, _ in results.values()}
        times = {name: times for name, (_, times) in results.items()}
        samples.append(
            {
                **times,
                "same_caption": len(texts) == 1,
                "encoders": await asyncio.to_thread(_time_encoders, encoders, image),
                "throughput": await asyncio.to_thread(_throughput, model, images),
            }
        )
    return samples


def _encoders(model: LstmCaptionModel, folder: Path) -> dict[str, Encode]:
    """Return the encoders that the shipped one is compared with."""
    graph = tf.function(lambda pixels: model.captioner.encoder(tf.cast(pixels, tf.float32)[None]))
    encoders: dict[str, Encode] = {"TensorFlow": graph}
    try:
        int8, _ = read_int8(folder)
    except QuantizedError:
        return encoders
    quantized = LiteNetwork(int8, encoder_threads())
    return {**encoders, "int8": lambda pixels: quantized(pixels[None])}


def _time_encoders(encoders: dict[str, Encode], image: Image) -> Times:
    times = {}
    for name, encode in encoders.items():
        started = time.perf_counter()
        np.asarray(encode(image))
        times[name] = (time.perf_counter() - started) * 1e3
    return times


def _throughput(model: LstmCaptionModel, images: list[Image]) -> dict[str, float]:
    """Return captions per second by batch size."""
    rates = {}
    for size in _BATCH_SIZES:
        started = time.perf_counter()
        model.captions([images[place % len(images)] for place in range(size)], BEAM_WIDTH)
        rates[str(size)] = size / (time.perf_counter() - started)
    return rates


def _time_shipped(model: LstmCaptionModel) -> TimedCaptioner:
    def caption(image: Image) -> tuple[str, Times]:
        started = time.perf_counter()
        result = model.caption(image, BEAM_WIDTH)
        total = (time.perf_counter() - started) * 1e3
        timing = result.timing_ms
        times = {"encoder": timing.encoder, "decoder": timing.decoder, "total": total}
        # Without the consensus, which the plain captioner lacks.
        return result.instead_of or result.guess or result.text, times

    return caption


def _time_keras(plain: KerasCaptioner) -> TimedCaptioner:
    def caption(image: Image) -> tuple[str, Times]:
        started = time.perf_counter()
        text, encoder, decoder = plain.caption(image)
        total = (time.perf_counter() - started) * 1e3
        return text, {"encoder": encoder, "decoder": decoder, "total": total}

    return caption


if __name__ == "__main__":
    asyncio.run(run_until_stopped(run(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
