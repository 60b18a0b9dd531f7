"""TODO."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.captioner import BeamConfig, Captioner, Decoder
from models.captioner.beam_search import beam_search
from models.datasets import Dataset, Example
from models.language import sentence
from models.preprocessing import squeeze

_BATCH = 50


class Searcher(keras.Model):  # type: ignore[misc]  # Keras has no types.
    """Beam search as a model from grids to tokens, so that Keras compiles and batches it."""

    def __init__(self, decoder: Decoder, beam: BeamConfig) -> None:
        """Search with this decoder, whose weights may go on changing."""
        super().__init__()
        self.decoder = decoder
        self.beam = replace(beam, alternatives=0)
        self.compile(jit_compile=False)

    def call(self, grid: keras.KerasTensor) -> keras.KerasTensor:
        """Grids [B, rows, columns, channels] to tokens int32 [B, T]."""
        return beam_search(self.decoder, grid, self.beam).tokens


def caption_grids(
    captioner: Captioner, searcher: Searcher, grids: NDArray[np.floating]
) -> list[str]:
    """Caption every grid of [N, rows, columns, channels]."""
    captions = []
    for start in tqdm(range(0, len(grids), _BATCH), desc="captions", unit="batch", leave=False):
        batch = np.asarray(grids[start : start + _BATCH], np.float32)
        for ids in searcher.predict_on_batch(batch):
            captions.append(sentence(captioner.vocabulary.decode(ids)))
    return captions


def caption_images(
    captioner: Captioner, dataset: Dataset, examples: Sequence[Example], beam: BeamConfig
) -> dict[str, str]:
    """Caption the examples' pictures, by name."""
    searcher = Searcher(captioner.decoder, beam)
    captioner.encoder.compile(jit_compile=False)
    captions: dict[str, str] = {}
    for start in tqdm(range(0, len(examples), _BATCH), desc="evaluate", unit="batch"):
        part = examples[start : start + _BATCH]
        side = captioner.config.image_size
        images = np.stack([squeeze(dataset.image(example.name), side) for example in part])
        grids = captioner.encoder.predict_on_batch(images.astype(np.float32))
        said = caption_grids(captioner, searcher, grids)
        captions |= dict(zip((example.name for example in part), said, strict=True))
    return captions
