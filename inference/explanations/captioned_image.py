"""A captioned image, which explanations and attacks take as their subject."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.captioning.wording import WordSpan
from models.captioner import BeamCaption

if TYPE_CHECKING:
    from inference.explanations.masked_scores import MaskedScores


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """An image, a caption of it and the captioner. What is computed from them is cached."""

    model: CaptionModel
    image: NDArray[np.uint8]
    """RGB [H, W, 3]; not resized if it has the captioner's own size."""
    tokens: tuple[int, ...]
    """The tokens of the caption and the end token, as the search found them."""

    def __post_init__(self) -> None:
        """Validate the image and the tokens.

        Raises:
            ValueError: If the image cannot be captioned, or the tokens are not a caption.
        """
        self.model.check(self.image)
        self.model.check_tokens(self.tokens)

    @property
    def words(self) -> tuple[int, ...]:
        """The tokens without the end token, which is missing if the caption was cut off."""
        return self.model.wording.strip(self.tokens)

    @cached_property
    def spans(self) -> tuple[WordSpan, ...]:
        """The words, each with its text and the places of its tokens."""
        return self.model.wording.words(self.tokens)

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The image at the encoder's input size, RGB [S, S, 3]."""
        return self.model.preprocess(self.image)

    @cached_property
    def grid(self) -> NDArray[np.float32]:
        """The encoding of the image, see `inference.captioning.model`."""
        cached = self.model.grid_cache.get(self.image)
        if cached is not None:
            return cached
        return np.asarray(self.model.encode_pixels(self.pixels[None])[0])

    @property
    def cells(self) -> NDArray[np.float32]:
        """The cells of the encoding, [rows, columns, channels]."""
        (cells,) = self.model.cells(self.grid[None])
        return np.asarray(cells)

    @cached_property
    def rescored(self) -> BeamCaption:
        """The caption with its log-probabilities, see `CaptionModel.rescore`: arrays [T, ...]."""
        rescored = self.model.rescore(self.grid[None], [self.tokens])
        return BeamCaption(*(part[0] for part in rescored))

    @cached_property
    def candidates(self) -> NDArray[np.int32]:
        """Each token of the caption with its most probable alternatives: [T, 1 + A]."""
        alternatives = np.asarray(self.rescored.alternative_tokens)[: len(self.tokens)]
        return np.column_stack([self.tokens, alternatives]).astype(np.int32)

    @cached_property
    def masked(self) -> "dict[Hashable, MaskedScores]":
        """Scores of masked copies that were computed so far; see `masked_scores`."""
        return {}

    def word_sums(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum values of the tokens, [..., at least T], over each word's tokens: [..., words].

        A word's log-probability is the sum of its tokens'.
        """
        return self.model.wording.word_sums(self.tokens, values)

    @cached_property
    def mean_colour(self) -> NDArray[np.float32]:
        """The image's mean colour, with which regions are blanked: [3] in 0..255."""
        return np.asarray(self.pixels.mean(axis=(0, 1)), np.float32)
