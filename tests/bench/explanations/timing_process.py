"""Times explanations: `python -m tests.bench.explanation_rounds CAPTIONER ROUNDS SECONDS`."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.gradcam import Gradcam

from inference.captioning.model import CaptionModel
from inference.captioning.steadiness import View
from inference.captioning.stream_captions import follow
from inference.explanations.live import live_maps
from inference.explanations.methods import METHODS
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.progress import finish
from inference.startup import use_one_thread
from models.captioner.beam_search import BeamCaption
from tests.bench.machine import cpu_seconds, load_average
from tests.bench.model_rounds import pictures_of_footage
from tests.bench.orders import run_until_dismissed, say
from tests.inference.explanations.plain import WordLogits, pixels_to_words

_WARM_UP = 2

Picture = NDArray[np.uint8]
Timed = dict[str, float]


async def run(folder: Path, rounds: int, seconds: float) -> None:
    """Explain the same pictures in all ways by turns, and tell what each round measured."""
    use_one_thread()
    clock = await asyncio.to_thread(_Clock, folder)
    for picture in clock.pictures[:_WARM_UP]:
        await asyncio.to_thread(clock.sample, picture)
    for _ in range(rounds):
        load, used = load_average(), cpu_seconds(os.getpid())
        samples: list[Timed] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end or not samples:
            picture = clock.pictures[len(samples) % len(clock.pictures)]
            samples.append(await asyncio.to_thread(clock.sample, picture))
        say(samples=samples, load_average=load, cpu_s=cpu_seconds(os.getpid()) - used)


class _Clock:
    """Times all ways on one picture."""

    def __init__(self, folder: Path) -> None:
        self._model = CaptionModel(folder)
        self._forward = tf.function(self._model.captioner.encoder)
        self.pictures = pictures_of_footage(self._model.image_size)
        self._turn = 0

    def sample(self, picture: Picture) -> Timed:
        """Time each way once, in milliseconds."""
        model = self._model
        anchor = follow(model, [View(picture, maps=False)])[0].anchor
        subject = Subject(model, picture, anchor.tokens)
        pixels, upstream = picture.astype(np.float32), np.ones_like(subject.grid)
        ways: dict[str, Callable[[], object]] = {
            "caption": lambda: follow(model, [View(picture, maps=False)]),
            "caption_with_maps": lambda: follow(model, [View(picture)]),
            "saliency": lambda: self._saliency(picture, anchor.tokens),
            "forward": lambda: model.encode_pixels(picture[None]),
            "tensorflow_forward": lambda: np.asarray(self._forward(pixels[None])),
            "tensorflow_forward_and_backward": lambda: model.graphs.pixel_gradient(
                pixels, upstream
            ),
            "maps_of_a_given_caption": lambda: self._maps(picture, anchor.tokens),
            "tf_keras_vis": self._word_by_word(subject),
        }
        # Who goes first changes: what ran before leaves its marks in the caches.
        names = list(ways)
        self._turn = (self._turn + 1) % len(names)
        timed = {name: _time(ways[name]) for name in names[self._turn :] + names[: self._turn]}
        maps = follow(model, [View(picture)])[0].caption.timing_ms.maps
        return {**timed, "maps": maps, "words": float(len(subject.words))}

    def _saliency(self, picture: Picture, tokens: tuple[int, ...]) -> None:
        """As a stream's newest caption gets it, whose grid is still known."""
        subject = Subject(self._model, picture, tokens)
        finish(METHODS["saliency"].explain(subject, Target("caption")))

    def _maps(self, picture: Picture, tokens: tuple[int, ...]) -> None:
        """From the pixels on, as a library does that knows of no caption before."""
        grid = self._model.encode_pixels(picture[None])
        told = self._model.retell(grid, [tokens])
        live_maps(self._model.graphs, grid, [BeamCaption(*(part[0] for part in told))])

    def _word_by_word(self, subject: Subject) -> Callable[[], object]:
        """Grad-CAM of each word by tf-keras-vis; the model that it needs is made before."""
        layer = WordLogits(self._model.captioner.decoder, subject.words)
        gradcam = Gradcam(pixels_to_words(subject, layer), clone=False)
        last = self._model.captioner.encoder.layers[-1].name
        pixels = subject.pixels[None].astype(np.float32)

        def explain() -> None:
            for index, word in enumerate(subject.words):
                gradcam(
                    lambda logits, index=index, word=word: logits[:, index, word],
                    pixels,
                    penultimate_layer=last,
                    seek_penultimate_conv_layer=False,
                    expand_cam=False,
                    normalize_cam=False,
                )

        return explain


def _time(way: Callable[[], object]) -> float:
    begun = time.perf_counter()
    way()
    return (time.perf_counter() - begun) * 1e3


if __name__ == "__main__":
    asyncio.run(run_until_dismissed(run(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
