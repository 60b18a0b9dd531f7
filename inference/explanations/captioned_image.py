"""What methods look into: a picture, its caption, and the captioner that said it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from models.captioner import BeamCaption
from models.language import END, SPECIAL_WORDS
from models.preprocessing import squeeze


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture and its caption. What is computed of them is computed once."""

    model: CaptionModel
    image: NDArray[np.uint8]
    """RGB [H, W, 3]; one of the captioner's own size is taken as it is."""
    tokens: tuple[int, ...]
    """The words of the caption and their end, as the search found them."""

    def __post_init__(self) -> None:
        """Check the parts.

        Raises:
            ValueError: If the image cannot be captioned, or the tokens are no caption.
        """
        self.model.check(self.image)
        longest, known = self.model.card.beam.max_length, self.model.vocabulary_size
        if not 1 <= len(self.tokens) <= longest:
            raise ValueError(f"a caption has 1 to {longest} tokens, not {len(self.tokens)}")
        if not all(len(SPECIAL_WORDS) <= token < known for token in self.words):
            raise ValueError(f"a caption has words of 4 to {known - 1}, and {END} at its end")

    @property
    def words(self) -> tuple[int, ...]:
        """The tokens without the end; there is none if the caption was cut."""
        return self.tokens[:-1] if self.tokens[-1] == END else self.tokens

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture as the encoder gets it, RGB [S, S, 3]."""
        return squeeze(self.image, self.model.image_size)

    @cached_property
    def grid(self) -> NDArray[np.float32]:
        """What the decoder looks at, [rows, columns, channels]."""
        recent = self.model.recent.find(self.image)
        if recent is not None:
            return recent
        return np.asarray(self.model.encode_pixels(self.pixels[None])[0])

    @cached_property
    def told(self) -> BeamCaption:
        """The caption as `CaptionModel.retell` tells it, each part [T, ...]."""
        told = self.model.retell(self.grid[None], [self.tokens])
        return BeamCaption(*(part[0] for part in told))

    @cached_property
    def mean_colour(self) -> NDArray[np.float32]:
        """What places are painted with that are not to be seen, [3] in 0..255."""
        return np.asarray(self.pixels.mean(axis=(0, 1)), np.float32)
