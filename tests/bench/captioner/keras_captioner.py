"""Captions in the plain way, as tutorials do it: what the shipped model is compared to."""

import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from models.captioner.beam_search import beam_search
from models.checkpoint import load
from models.language.vocabulary import END, sentence


class PlainCaptioner:
    """Keras' `predict` for the encoder, and the beam search step by step, each operation eager."""

    def __init__(self, folder: Path, width: int, alternatives: int) -> None:
        """Load a captioner, to search with a width and tell so many alternatives of each word."""
        self._captioner, card = load(folder)
        self._beam = replace(card.beam, width=width, alternatives=alternatives)

    def caption(self, image: NDArray[np.uint8]) -> tuple[str, float, float]:
        """Caption a picture, RGB, uint8 [S, S, 3] with S the encoder's own.

        Returns:
            The caption, and what the encoder and the decoder took in ms.
        """
        begun = time.perf_counter()
        grid = self._captioner.encoder.predict(image[None].astype(np.float32), verbose=0)
        encoded = time.perf_counter()
        search = beam_search(self._captioner.decoder, keras.ops.convert_to_tensor(grid), self._beam)
        found = [np.asarray(part)[0] for part in search]
        decoded = time.perf_counter()
        tokens = found[0].tolist()
        said = tokens[: tokens.index(END)] if END in tokens else tokens
        text = sentence(self._captioner.vocabulary.words[token] for token in said)
        return text, (encoded - begun) * 1e3, (decoded - encoded) * 1e3
