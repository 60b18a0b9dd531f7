"""A captioned image, which explanations and attacks take as their subject."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from models.captioner import BeamCaption
from models.language import END, SPECIAL_WORDS
from models.preprocessing import resize_to_square


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """An image, a caption of it and the captioner. What is computed from them is cached."""

    model: CaptionModel
    image: NDArray[np.uint8]
    """RGB [H, W, 3]; not resized if it has the captioner's own size."""
    tokens: tuple[int, ...]
    """The words of the caption and the end token, as the search found them."""

    def __post_init__(self) -> None:
        """Validate the image and the tokens.

        Raises:
            ValueError: If the image cannot be captioned, or the tokens are not a caption.
        """
        self.model.check(self.image)
        longest, known = self.model.card.beam.max_length, self.model.vocabulary_size
        if not 1 <= len(self.tokens) <= longest:
            raise ValueError(f"a caption has 1 to {longest} tokens, not {len(self.tokens)}")
        if not all(len(SPECIAL_WORDS) <= token < known for token in self.words):
            raise ValueError(f"a caption has tokens of 4 to {known - 1}, and {END} at its end")

    @property
    def words(self) -> tuple[int, ...]:
        """The tokens without the end token, which is missing if the caption was cut off."""
        return self.tokens[:-1] if self.tokens[-1] == END else self.tokens

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The image at the encoder's input size, RGB [S, S, 3]."""
        return resize_to_square(self.image, self.model.image_size)

    @cached_property
    def grid(self) -> NDArray[np.float32]:
        """The encoder's output, [rows, columns, channels]."""
        cached = self.model.grid_cache.get(self.image)
        if cached is not None:
            return cached
        return np.asarray(self.model.encode_pixels(self.pixels[None])[0])

    @cached_property
    def rescored(self) -> BeamCaption:
        """The caption with its log-probabilities, see `CaptionModel.rescore`: arrays [T, ...]."""
        rescored = self.model.rescore(self.grid[None], [self.tokens])
        return BeamCaption(*(part[0] for part in rescored))

    @cached_property
    def mean_colour(self) -> NDArray[np.float32]:
        """The image's mean colour, with which regions are blanked: [3] in 0..255."""
        return np.asarray(self.pixels.mean(axis=(0, 1)), np.float32)
