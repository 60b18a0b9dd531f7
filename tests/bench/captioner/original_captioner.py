"""Captions in the way that this project began with: what the speed of today is compared to.

EfficientNetV2-L (Tan and Le, ICML 2021) on 480x480 pixels without its last two layers, an LSTM
over all words so far, and Keras' `predict` for each: once for the picture, then once for each beam
and word. The weights are random, since nothing but the time matters.
"""

import time

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

SIDE = 480
_WORDS = 72
"""Of a caption: the beams go on to the end whatever they say. With `_BEAMS`, and the picture's
own, these are 217 calls."""
_BEAMS = 3
_VOCABULARY = 8000
_UNITS = 256
_CUT_LAYERS = 2
_START = 1


class OriginCaptioner:
    """The encoder and the decoder of then."""

    def __init__(self) -> None:
        """Make both, of random weights."""
        whole = keras.applications.EfficientNetV2L(weights=None, input_shape=(SIDE, SIDE, 3))
        features = whole.layers[-1 - _CUT_LAYERS].output
        self._encoder = keras.Model(whole.input, features)
        self._decoder = _decoder(features.shape[-1])

    def caption(self, image: NDArray[np.uint8]) -> float:
        """Caption a picture, RGB, uint8 [SIDE, SIDE, 3]; return what that took in ms."""
        begun = time.perf_counter()
        features = self._encoder.predict(image[None].astype(np.float32), verbose=0)
        beams = [(0.0, [_START])]
        for _ in range(_WORDS):
            # The first step has but one beam to extend; it is asked for each all the same.
            asked = [beams[place % len(beams)] for place in range(_BEAMS)]
            extended = [beam for one in asked for beam in self._extended(features, one)]
            beams = sorted(extended, key=lambda beam: -beam[0])[:_BEAMS]
        return (time.perf_counter() - begun) * 1e3

    def _extended(
        self, features: NDArray[np.float32], beam: tuple[float, list[int]]
    ) -> list[tuple[float, list[int]]]:
        score, words = beam
        padded = np.zeros((1, _WORDS + 1), np.int32)
        padded[0, -len(words) :] = words
        probs = self._decoder.predict([features, padded], verbose=0)[0]
        likeliest = np.argsort(probs)[-_BEAMS:]
        return [(score + float(np.log(probs[word])), [*words, int(word)]) for word in likeliest]


def _decoder(features: int) -> keras.Model:
    picture, words = keras.Input((features,)), keras.Input((_WORDS + 1,), dtype="int32")
    seen = layers.Dense(_UNITS, activation="relu")(picture)
    read = layers.LSTM(_UNITS)(layers.Embedding(_VOCABULARY, _UNITS)(words))
    both = layers.Dense(_UNITS, activation="relu")(layers.add([seen, read]))
    probs = layers.Dense(_VOCABULARY, activation="softmax")(both)
    return keras.Model([picture, words], probs)
