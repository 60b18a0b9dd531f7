"""The captioning method that this project started with, as a baseline of speed.

EfficientNetV2-L (Tan and Le, ICML 2021) on 480x480 pixels without its last two layers, an LSTM over
all words so far, and Keras `predict` for each: once for the image, then once for each beam and
word. The weights are random, because only the time matters.

`python -m tests.bench.captioner.original_captioner CAPTIONS` sends the time of each caption.
"""

import asyncio
import sys
import time

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from tests.support.child_process import run_until_stopped, send

SIDE = 480
_WORDS = 72
"""Words of a caption: the beams are always extended to the end. With `_BEAMS`, and one call for the
image, these are 217 calls of `predict`."""
_BEAMS = 3
_VOCABULARY = 8000
_UNITS = 256
_CUT_LAYERS = 2
_START = 1


class OriginalCaptioner:
    """The original encoder and decoder."""

    def __init__(self) -> None:
        """Create both with random weights."""
        full = keras.applications.EfficientNetV2L(weights=None, input_shape=(SIDE, SIDE, 3))
        features = full.layers[-1 - _CUT_LAYERS].output
        self._encoder = keras.Model(full.input, features)
        self._decoder = _create_decoder(features.shape[-1])

    def caption(self, image: NDArray[np.uint8]) -> float:
        """Caption an image, RGB, uint8 [SIDE, SIDE, 3]; return the time in ms."""
        started = time.perf_counter()
        features = self._encoder.predict(image[None].astype(np.float32), verbose=0)
        beams = [(0.0, [_START])]
        for _ in range(_WORDS):
            # The first step has only one beam, which the original extended three times anyway.
            sources = [beams[place % len(beams)] for place in range(_BEAMS)]
            extended = [beam for source in sources for beam in self._extend(features, source)]
            beams = sorted(extended, key=lambda beam: -beam[0])[:_BEAMS]
        return (time.perf_counter() - started) * 1e3

    def _extend(
        self, features: NDArray[np.float32], beam: tuple[float, list[int]]
    ) -> list[tuple[float, list[int]]]:
        score, words = beam
        padded = np.zeros((1, _WORDS + 1), np.int32)
        padded[0, -len(words) :] = words
        probs = self._decoder.predict([features, padded], verbose=0)[0]
        best = np.argsort(probs)[-_BEAMS:]
        return [(score + float(np.log(probs[word])), [*words, int(word)]) for word in best]


def _create_decoder(features: int) -> keras.Model:
    image, words = keras.Input((features,)), keras.Input((_WORDS + 1,), dtype="int32")
    projected = layers.Dense(_UNITS, activation="relu")(image)
    state = layers.LSTM(_UNITS)(layers.Embedding(_VOCABULARY, _UNITS)(words))
    merged = layers.Dense(_UNITS, activation="relu")(layers.add([projected, state]))
    probs = layers.Dense(_VOCABULARY, activation="softmax")(merged)
    return keras.Model([image, words], probs)


async def run(captions: int) -> None:
    """Send the time of each caption, after one that compiles the models."""
    captioner = await asyncio.to_thread(OriginalCaptioner)
    random = np.random.default_rng(0)
    for number in range(captions + 1):
        image = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        ms = await asyncio.to_thread(captioner.caption, image)
        if number:
            send(ms=ms)


if __name__ == "__main__":
    asyncio.run(run_until_stopped(run(int(sys.argv[1]))))
