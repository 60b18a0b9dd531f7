"""Pictures with what the captioner says of them."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from models.vocabulary import END, PAD


@dataclass(frozen=True, slots=True, eq=False)
class Captioned:
    """A picture's grid and caption."""

    grid: NDArray[np.float32]
    """[rows, columns, C]."""
    tokens: tuple[int, ...]
    """Of the caption that the search found, its end left out."""

    def place(self, word: int) -> int | None:
        """Where a word is said first; None if it is not."""
        return self.tokens.index(word) if word in self.tokens else None


def caption_pictures(
    model: CaptionModel, pictures: Sequence[NDArray[np.uint8]]
) -> Generator[float, None, list[Captioned]]:
    """Caption pictures, RGB uint8 [S, S, 3] of the captioner's own size; yields what is done."""
    captioned: list[Captioned] = []
    for pixels in pictures:
        yield len(captioned) / len(pictures)
        grids = model.encode_pixels(pixels[None])
        said = model.search(grids).tokens[0]
        words = tuple(int(token) for token in said if token not in (END, PAD))
        captioned.append(Captioned(grids[0], words))
    return captioned
