"""Time the live explanations, and tf-keras-vis as a baseline.

`python -m tests.bench.explanations.timing_process CAPTIONER ROUNDS SECONDS` sends the samples of
each round.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Before TensorFlow: libsrtp crashes if it is loaded after it, and reading footage loads it.
import aiortc  # noqa: F401
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.gradcam import Gradcam

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.stream_captions import caption_frames
from inference.captioning.stream_state import FrameRequest
from inference.explanations.methods import METHODS
from inference.explanations.target import Target
from inference.progress import finish
from inference.startup import use_one_thread
from models.captioner.beam_search import BeamCaption
from tests.bench.machine import cpu_seconds, load_average
from tests.support.captioners.lstm import LstmCaptionedImage
from tests.support.child_process import run_until_stopped, send
from tests.support.load.footage import footage_images
from tests.support.oracle.autodiff_captioner import WordLogits, pixels_to_words

_WARM_UP = 2
"""Samples before the first round."""

Image = NDArray[np.uint8]
Sample = dict[str, float]
"""Milliseconds by method, and the number of words."""


async def run(folder: Path, rounds: int, seconds: float) -> None:
    """Explain the same images by all methods in turn, and send the samples of each round."""
    use_one_thread()
    timer = await asyncio.to_thread(_Timer, folder)
    for image in timer.images[:_WARM_UP]:
        await asyncio.to_thread(timer.sample, image)
    for _ in range(rounds):
        load, used = load_average(), cpu_seconds(os.getpid())
        samples: list[Sample] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end or not samples:
            image = timer.images[len(samples) % len(timer.images)]
            samples.append(await asyncio.to_thread(timer.sample, image))
        send(samples=samples, load_average=load, cpu_s=cpu_seconds(os.getpid()) - used)


class _Timer:
    """Times all methods on one image."""

    def __init__(self, folder: Path) -> None:
        self._model = LstmCaptionModel(folder)
        self._forward = tf.function(self._model.captioner.encoder)
        self.images = footage_images(self._model.image_size)
        self._first = 0

    def sample(self, image: Image) -> Sample:
        """Time each method once, in milliseconds."""
        model = self._model
        tokens = caption_frames(model, [FrameRequest(image, maps=False)])[0].state.tokens
        subject = LstmCaptionedImage(model, image, tokens)
        pixels, upstream = image.astype(np.float32), np.ones_like(subject.grid)
        methods: dict[str, Callable[[], object]] = {
            "caption": lambda: caption_frames(model, [FrameRequest(image, maps=False)]),
            "caption_with_maps": lambda: caption_frames(model, [FrameRequest(image)]),
            "saliency": lambda: self._saliency(image, tokens),
            "forward": lambda: model.encode_pixels(image[None]),
            "tensorflow_forward": lambda: np.asarray(self._forward(pixels[None])),
            "tensorflow_forward_and_backward": lambda: model.graphs.pixel_gradient(
                pixels, upstream
            ),
            "maps_of_given_caption": lambda: self._maps(image, tokens),
            "tf_keras_vis": self._word_by_word(subject),
        }
        # The first method changes, because what ran before affects the caches.
        names = list(methods)
        self._first = (self._first + 1) % len(names)
        order = names[self._first :] + names[: self._first]
        times = {name: _time(methods[name]) for name in order}
        maps = caption_frames(model, [FrameRequest(image)])[0].caption.timing_ms.maps
        return {**times, "maps": maps, "words": float(len(subject.words))}

    def _saliency(self, image: Image, tokens: tuple[int, ...]) -> None:
        """Explain as for a stream's newest caption, whose grid is cached."""
        subject = LstmCaptionedImage(self._model, image, tokens)
        finish(METHODS["saliency"].explain(subject, Target("caption")))

    def _maps(self, image: Image, tokens: tuple[int, ...]) -> None:
        """Explain from the pixels on, like a library without access to the beam search."""
        grid = self._model.encode_pixels(image[None])
        scores = self._model.rescore(grid, [tokens])
        self._model.live_maps(grid, [BeamCaption(*(part[0] for part in scores))])

    def _word_by_word(self, subject: LstmCaptionedImage) -> Callable[[], object]:
        """Prepare Grad-CAM of each word by tf-keras-vis; building its model is not timed."""
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


def _time(method: Callable[[], object]) -> float:
    started = time.perf_counter()
    method()
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    asyncio.run(run_until_stopped(run(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
