"""A plain Keras captioner, as in tutorials: the baseline of the shipped one."""

import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from models.captioner.beam_search import beam_search
from models.checkpoint import load
from models.language import END, sentence


class KerasCaptioner:
    """Keras `predict` for the encoder, and an eager beam search."""

    def __init__(self, folder: Path, beam_width: int, alternatives: int) -> None:
        """Load a captioner.

        Args:
            folder: Folder of the captioner.
            beam_width: Width of the beam search.
            alternatives: Number of alternatives per word.
        """
        self._captioner, card = load(folder)
        self._beam = replace(card.beam, width=beam_width, alternatives=alternatives)

    def caption(self, image: NDArray[np.uint8]) -> tuple[str, float, float]:
        """Caption an image, RGB, uint8 [S, S, 3], S the encoder's input size.

        Returns:
            The caption, and the times of the encoder and the decoder in ms.
        """
        started = time.perf_counter()
        grid = self._captioner.encoder.predict(image[None].astype(np.float32), verbose=0)
        encoded = time.perf_counter()
        search = beam_search(self._captioner.decoder, keras.ops.convert_to_tensor(grid), self._beam)
        parts = [np.asarray(part)[0] for part in search]
        decoded = time.perf_counter()
        tokens = parts[0].tolist()
        words = tokens[: tokens.index(END)] if END in tokens else tokens
        text = sentence(self._captioner.vocabulary.words[token] for token in words)
        return text, (encoded - started) * 1e3, (decoded - encoded) * 1e3
