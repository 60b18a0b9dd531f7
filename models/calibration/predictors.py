"""What the calibration of confidence needs of a captioner, for each architecture."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.blip import Blip, SearchConfig, load_blip
from models.blip import beam_search as search_captions
from models.calibration.tags import Tagger
from models.calibration.word_confidence import (
    RUNNERS_UP,
    CaptionEvidence,
    WordEvidence,
    runners_up,
)
from models.captioner import BeamCaption, BeamConfig, Captioner
from models.catalogue import read_architecture
from models.checkpoint import load
from models.consensus import Consensus, load_consensus
from models.consensus.search import CaptionSearch
from models.graph import graph
from models.language import PAD, SPECIAL_WORDS, UNKNOWN
from models.preprocessing import resize_to_square

_LENGTH = 20
"""Longer reference captions are cut off, in tokens."""


class Prediction(NamedTuple):
    """A captioner's caption of an image, and its predictions along the reference captions."""

    evidence: CaptionEvidence
    """Of the caption."""
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
            references: The reference captions of each image; none for a blank image.
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
    tagger = None
    if captioner.classifier and card.tags:
        tagger = Tagger(captioner.classifier, card.tags)
    return LstmPredictor(captioner, card.beam, consensus, tagger)


class LstmPredictor:
    """Predictions of a captioner that `models.train` trained."""

    def __init__(
        self,
        captioner: Captioner,
        beam: BeamConfig,
        consensus: Consensus | None = None,
        tagger: Tagger | None = None,
    ) -> None:
        """Prepare the captioner.

        Args:
            captioner: The captioner.
            beam: The parameters of its search.
            consensus: Chooses among the captions of the beam search, if there is one.
            tagger: Tags the images, if it has tags.
        """
        self._captioner, self._tagger = captioner, tagger
        # As many as captions have later, and their probabilities as the search has them.
        beam = replace(beam, alternatives=RUNNERS_UP + 1, temperature=1.0)
        self._search = CaptionSearch(captioner.decoder, beam, consensus)
        captioner.encoder.compile(jit_compile=False)
        # Keras's own function would refuse images with another number of captions than the first.
        self._teacher_force = graph(lambda grid, tokens: captioner.decoder((grid, tokens)))

    def predict(
        self, images: Sequence[NDArray[np.uint8]], references: Sequence[Sequence[str]]
    ) -> Iterator[Prediction]:
        """Caption images, and predict each next token; see `Predictor`."""
        side = self._captioner.config.image_size
        pixels = np.stack([resize_to_square(image, side) for image in images])
        grids = self._captioner.encoder.predict_on_batch(pixels.astype(np.float32))
        found = self._search(grids)
        tags = self._tagger.tags(grids) if self._tagger else [()] * len(images)
        for row, (grid, texts) in enumerate(zip(grids, references, strict=True)):
            caption = BeamCaption(*(part[row] for part in found))
            names = [name for name, _ in tags[row]]
            yield Prediction(self._evidence(caption, grid, names), *self._forced(grid, texts))

    def _evidence(
        self, found: BeamCaption, grid: NDArray[np.float32], tags: Sequence[str]
    ) -> CaptionEvidence:
        words = self._captioner.vocabulary.words
        length = len(self._captioner.vocabulary.decode(found.tokens))
        evidence = [
            WordEvidence(
                words[found.tokens[place]],
                float(found.search_log_probs[place]),
                runners_up(found, place, self._word),
            )
            for place in range(length)
        ]
        log_probs = found.search_log_probs[found.tokens != PAD]
        return CaptionEvidence.of(evidence, log_probs, grid, tags)

    def _word(self, token: int) -> str | None:
        known = token >= len(SPECIAL_WORDS)
        return self._captioner.vocabulary.words[token] if known else None

    def _forced(
        self, grid: NDArray[np.float32], texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return `logits` and `tokens` of a prediction."""
        if not texts:
            size = self._captioner.config.decoder.vocabulary_size
            return np.empty((0, size), np.float32), np.empty(0, np.int32)
        encode = self._captioner.vocabulary.encode
        tokens = np.array([encode(text, _LENGTH) for text in texts], np.int32)
        known = (tokens != PAD) & (tokens != UNKNOWN)
        logits = np.asarray(self._teacher_force(grid[None], tokens[None]))[0]
        return logits[known], tokens[known]


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
            found = BeamCaption(*(np.asarray(part)[0] for part in self._search(encoding)))
            # Without the class token.
            cells = np.asarray(encoding)[0, 1:].reshape(side, side, -1)
            log_probs = found.search_log_probs[found.tokens != PAD]
            evidence = CaptionEvidence.of(self._words(found), log_probs, cells, ())
            yield Prediction(evidence, *self._forced(encoding, texts))

    def _words(self, found: BeamCaption) -> list[WordEvidence]:
        """Join the pieces of each word; see `inference.captioning.wording`."""
        words: list[tuple[str, int, int]] = []
        for place, token in enumerate(found.tokens):
            piece = self._blip.word_pieces.text_of(int(token))
            text = piece.removeprefix("##")
            if words and text != piece:
                first, start, _ = words[-1]
                words[-1] = (first + text, start, place + 1)
            elif piece:
                words.append((text, place, place + 1))
        return [
            WordEvidence(
                text,
                float(found.search_log_probs[start:stop].sum()),
                runners_up(found, start, self._first_text),
            )
            for text, start, stop in words
        ]

    def _first_text(self, token: int) -> str | None:
        piece = self._blip.word_pieces.text_of(token)
        return None if piece.startswith("##") else piece

    def _forced(
        self, encoding: KerasTensor, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return `logits` and `tokens` of a prediction."""
        if not texts:
            size = len(self._blip.word_pieces)
            return np.empty((0, size), np.float32), np.empty(0, np.int32)
        tokens = np.array([self._tokens(text) for text in texts], np.int32)
        known = (tokens != PAD) & (tokens != self._unknown)
        logits = np.asarray(self._teacher_force(encoding, tokens))
        return logits[known], tokens[known]

    def _search_with_log_probs(self, encoding: KerasTensor) -> BeamCaption:
        decoder = self._blip.decoder
        config = SearchConfig(max_length=self._length, alternatives=RUNNERS_UP + 1)
        return search_captions(decoder, decoder.build_memory(encoding), config)

    def _logits(self, encoding: KerasTensor, tokens: KerasTensor) -> KerasTensor:
        decoder = self._blip.decoder
        repeated = ops.repeat(encoding, ops.shape(tokens)[0], axis=0)
        return decoder.logits(decoder.teacher_force(tokens, decoder.build_memory(repeated)).hidden)

    def _tokens(self, text: str) -> list[int]:
        """Return the tokens of a reference caption, with the end token, padded."""
        end = self._blip.config.text_config.sep_token_id
        tokens = [*self._blip.word_pieces.encode(text)[: self._length - 1], end]
        return tokens + [PAD] * (self._length - len(tokens))
