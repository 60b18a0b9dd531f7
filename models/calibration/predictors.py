"""What the calibration of confidence needs of a captioner, for each architecture."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.blip import Blip, SearchConfig, load_blip
from models.blip import beam_search as search_captions
from models.calibration.confidence import confidence_features
from models.captioner import BeamConfig, Captioner
from models.catalogue import read_architecture
from models.checkpoint import load
from models.consensus import Consensus, load_consensus
from models.consensus.search import CaptionSearch
from models.graph import graph
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
    if read_architecture(folder) == "blip":
        return BlipPredictor(load_blip(folder))
    captioner, card = load(folder)
    consensus = load_consensus(folder, captioner)
    return LstmPredictor(captioner, card.beam, consensus)


class LstmPredictor:
    """Predictions of a captioner that `models.train` trained."""

    def __init__(
        self, captioner: Captioner, beam: BeamConfig, consensus: Consensus | None = None
    ) -> None:
        """Prepare the captioner.

        Args:
            captioner: The captioner.
            beam: The parameters of its search.
            consensus: Chooses among the captions of the beam search, if there is one.
        """
        self._captioner = captioner
        self._search = CaptionSearch(captioner.decoder, beam, consensus)
        captioner.encoder.compile(jit_compile=False)
        # Keras's own function would refuse images with another number of captions than the first.
        self._teacher_force = graph(lambda grid, tokens: captioner.decoder((grid, tokens)))

    def predict(
        self, images: Sequence[NDArray[np.uint8]], references: Sequence[Sequence[str]]
    ) -> Iterator[Prediction]:
        """Caption images, and predict each next token; see `Predictor`."""
        vocabulary, side = self._captioner.vocabulary, self._captioner.config.image_size
        pixels = np.stack([resize_to_square(image, side) for image in images])
        grids = self._captioner.encoder.predict_on_batch(pixels.astype(np.float32))
        found = self._search(grids)
        parts = zip(found.tokens, found.search_log_probs, grids, references, strict=True)
        for ids, log_probs, grid, texts in parts:
            tokens = np.array([vocabulary.encode(text, _LENGTH) for text in texts], np.int32)
            known = (tokens != PAD) & (tokens != UNKNOWN)
            logits = np.asarray(self._teacher_force(grid[None], tokens[None]))[0]
            yield Prediction(
                sentence(vocabulary.decode(ids)),
                confidence_features(log_probs[ids != PAD], grid),
                logits[known],
                tokens[known],
            )


class BlipPredictor:
    """Predictions of a published BLIP captioner, searched as `SearchConfig` has it by default."""

    def __init__(self, blip: Blip) -> None:
        """Prepare the captioner; its graphs are compiled at the first image."""
        self._blip = blip
        longest = blip.config.text_config.max_position_embeddings
        self._length = min(SearchConfig().max_length, longest)
        self._unknown = blip.word_pieces.pieces.index("[UNK]")
        self._encode = graph(blip.encoder)
        self._search = graph(self._search_with_log_probs)
        self._teacher_force = graph(self._logits, reduce_retracing=True)

    def predict(
        self, images: Sequence[NDArray[np.uint8]], references: Sequence[Sequence[str]]
    ) -> Iterator[Prediction]:
        """Caption images, and predict each next token; see `Predictor`."""
        side = self._blip.config.vision_config.side
        for image, texts in zip(images, references, strict=True):
            pixels = self._blip.image.resizing.apply(image)[None].astype(np.float32)
            encoding = self._encode(pixels)
            ids, log_probs = (np.asarray(each)[0] for each in self._search(encoding))
            # Without the class token.
            cells = np.asarray(encoding)[0, 1:].reshape(side, side, -1)
            tokens = np.array([self._tokens(text) for text in texts], np.int32)
            known = (tokens != PAD) & (tokens != self._unknown)
            logits = np.asarray(self._teacher_force(encoding, tokens))
            yield Prediction(
                self._text(ids),
                confidence_features(log_probs[ids != PAD], cells),
                logits[known],
                tokens[known],
            )

    def _search_with_log_probs(self, encoding: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        decoder, config = self._blip.decoder, SearchConfig(max_length=self._length)
        found = search_captions(decoder, decoder.build_memory(encoding), config)
        return found.tokens, found.search_log_probs

    def _logits(self, encoding: KerasTensor, tokens: KerasTensor) -> KerasTensor:
        decoder = self._blip.decoder
        repeated = ops.repeat(encoding, ops.shape(tokens)[0], axis=0)
        return decoder.logits(decoder.teacher_force(tokens, decoder.build_memory(repeated)).hidden)

    def _tokens(self, text: str) -> list[int]:
        """Return the tokens of a reference caption, with the end token, padded."""
        end = self._blip.config.text_config.sep_token_id
        tokens = [*self._blip.word_pieces.encode(text)[: self._length - 1], end]
        return tokens + [PAD] * (self._length - len(tokens))

    def _text(self, tokens: NDArray[np.int32]) -> str:
        pieces = (self._blip.word_pieces.text_of(int(token)) for token in tokens)
        return " ".join(filter(None, pieces)).replace(" ##", "")
