"""Captions of pictures: the captioner as compiled TensorFlow graphs."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.caption import Alternative, Caption, Timing, Word
from models.beam_search import BeamCaption, beam_search
from models.pictures import squeeze
from models.release import Card, load
from models.vocabulary import END, sentence

BEAM_WIDTHS = range(1, 6)
_ALTERNATIVES = 3


class CaptionModel:
    """A loaded captioner, ready to caption one picture at a time."""

    card: Card
    image_size: int
    """Side of the square that pictures are squeezed into, in pixels."""
    vocabulary_size: int
    encoder_name: str

    def __init__(self, folder: Path) -> None:
        """Load the captioner and compile it for its own beam width.

        Raises:
            models.release.ReleaseError: If the folder holds no captioner that can be run.
        """
        self._captioner, self.card = load(folder)
        self.image_size = self._captioner.config.image_size
        self.vocabulary_size = len(self._captioner.vocabulary)
        self.encoder_name = self._captioner.config.encoder
        self._encode = tf.function(
            lambda pixels: self._captioner.encoder(tf.cast(pixels, tf.float32)[None]),
            input_signature=[tf.TensorSpec((self.image_size, self.image_size, 3), tf.uint8)],
        )
        self._searches: dict[int, Callable[[tf.Tensor], BeamCaption]] = {}
        self.caption(np.zeros((self.image_size, self.image_size, 3), np.uint8))

    def caption(self, image: NDArray[np.uint8], beam_width: int | None = None) -> Caption:
        """Caption one picture.

        Args:
            image: RGB, uint8 [H, W, 3], of any size.
            beam_width: One of `BEAM_WIDTHS`; the captioner's own when None. The first caption of
                another width takes some seconds longer, while its graph is compiled.

        Raises:
            ValueError: If the image or the beam width is none of these.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"an image is uint8 [H, W, 3], not {image.dtype} {image.shape}")
        search = self._search(beam_width or self.card.beam.width)
        pixels = squeeze(image, self.image_size)
        begun = time.perf_counter()
        grid = self._encode(pixels)
        encoded = time.perf_counter()
        found = BeamCaption(*(np.asarray(part)[0] for part in search(grid)))
        decoded = time.perf_counter()
        timing = Timing(encoder=(encoded - begun) * 1e3, decoder=(decoded - encoded) * 1e3)
        return self._read(found, timing)

    def _search(self, width: int) -> Callable[[tf.Tensor], BeamCaption]:
        if width not in BEAM_WIDTHS:
            raise ValueError(f"beam width {width} is not in {BEAM_WIDTHS[0]}..{BEAM_WIDTHS[-1]}")
        if width not in self._searches:
            config = replace(self.card.beam, width=width, alternatives=_ALTERNATIVES + 1)
            self._searches[width] = tf.function(
                lambda grid: beam_search(self._captioner.decoder, grid, config)
            )
        return self._searches[width]

    def _read(self, found: BeamCaption, timing: Timing) -> Caption:
        tokens = found.tokens.tolist()
        said = tokens.index(END) if END in tokens else len(tokens)
        words = tuple(self._word(found, position) for position in range(said))
        mean = float(np.mean(found.log_probs[: said + 1]))
        return Caption(sentence(word.text for word in words), math.exp(mean), words, timing)

    def _word(self, found: Any, position: int) -> Word:
        names = self._captioner.vocabulary.words
        token = int(found.tokens[position])
        others = zip(
            found.alternative_tokens[position],
            found.alternative_log_probs[position],
            strict=True,
        )
        alternatives = [
            Alternative(names[other], round(math.exp(log_prob), 4))
            for other, log_prob in others
            if other not in (token, END)
        ]
        prob = round(math.exp(float(found.log_probs[position])), 4)
        return Word(names[token], prob, tuple(alternatives[:_ALTERNATIVES]))
