"""What the calibration of confidence needs of a captioner, for each architecture."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from keras import KerasTensor
from numpy.typing import NDArray

from models.calibration.confidence import confidence_features
from models.captioner import BeamConfig, BeamSearchModel, Captioner
from models.captioner.beam_search import beam_search
from models.checkpoint import load
from models.language import PAD, UNKNOWN, sentence
from models.preprocessing import resize_to_square

_LENGTH = 20
"""Longer reference captions are cut off, in tokens."""


class Prediction(NamedTuple):
    """A captioner's caption of an image, and its predictions along the reference captions."""

    caption: str
    features: NDArray[np.float64]
    """[len(CONFIDENCE_FEATURES)], of the caption."""
    logits: NDArray[np.float32]
    """[tokens, V], before each token of the reference captions, end tokens included."""
    tokens: NDArray[np.int32]
    """[tokens], those of the reference captions that the captioner knows."""


class Predictor(Protocol):
    """A captioner that is being calibrated."""

    def predict(
        self, images: Sequence[NDArray[np.uint8]], references: Sequence[Sequence[str]]
    ) -> Iterator[Prediction]:
        """Caption images, and predict each next token of their reference captions.

        Args:
            images: RGB, uint8 [H, W, 3] of any size.
            references: The reference captions of each image.
        """


def open_predictor(folder: Path) -> Predictor:
    """Load the captioner in a folder.

    Raises:
        models.checkpoint.CheckpointError: If it cannot be loaded.
    """
    captioner, card = load(folder)
    return LstmPredictor(captioner, card.beam)


class LstmPredictor:
    """Predictions of a captioner that `models.train` trained."""

    def __init__(self, captioner: Captioner, beam: BeamConfig) -> None:
        """Prepare the captioner.

        Args:
            captioner: The captioner.
            beam: The parameters of its search.
        """
        self._captioner = captioner
        self._search = _SearchWithLogProbs(captioner.decoder, beam)
        captioner.encoder.compile(jit_compile=False)
        captioner.decoder.compile(jit_compile=False)

    def predict(
        self, images: Sequence[NDArray[np.uint8]], references: Sequence[Sequence[str]]
    ) -> Iterator[Prediction]:
        """Caption images, and predict each next token; see `Predictor`."""
        vocabulary, side = self._captioner.vocabulary, self._captioner.config.image_size
        pixels = np.stack([resize_to_square(image, side) for image in images])
        grids = self._captioner.encoder.predict_on_batch(pixels.astype(np.float32))
        found = self._search.predict_on_batch(grids)
        for ids, log_probs, grid, texts in zip(*found, grids, references, strict=True):
            tokens = np.array([vocabulary.encode(text, _LENGTH) for text in texts])
            known = (tokens != PAD) & (tokens != UNKNOWN)
            logits = self._captioner.decoder.predict_on_batch((grid[None], tokens[None]))[0]
            yield Prediction(
                sentence(vocabulary.decode(ids)),
                confidence_features(log_probs[ids != PAD], grid),
                logits[known],
                tokens[known].astype(np.int32),
            )


class _SearchWithLogProbs(BeamSearchModel):
    def call(self, grid: KerasTensor) -> tuple[KerasTensor, ...]:
        found = beam_search(self.decoder, grid, self.beam)
        return found.tokens, found.search_log_probs
