"""A captioner that says "a dog" of every image, for reasons that the test chooses.

Each channel of its cells responds to a colour, and the gradient of a word is a given direction with
noise. Every scene shows squares of many colours, one of them red and one blue.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import Ability, Array, Tokens
from inference.captioning.objective import LogitTerms
from models.captioner import BeamCaption
from tests.support.captioners.subwords import PIECES, SubwordCaptionModel

CAPTION = tuple(map(PIECES.index, ("a", "dog", "[END]")))
RED, BLUE = (215, 40, 40), (40, 40, 215)
SIDE, CELLS = 48, 6
_OTHERS = [each for each in product((40, 128, 215), repeat=3) if each not in (RED, BLUE)]
_PALETTE = np.array([RED, BLUE, *_OTHERS[::2]])
_SCALES = np.where(np.arange(len(_PALETTE)) < 2, 0.5, 1.0)
"""Red and blue respond less: what a word depends on need not be what varies most."""
_WIDTH = 30.0
"""Grey levels by which a colour may differ from that of a channel."""


class ColouredCaptionModel(SubwordCaptionModel):
    """The captioner; the word depends on `likes` as much as it dislikes `dislikes`."""

    def __init__(self, likes: Sequence[int] = (), dislikes: Sequence[int] = ()) -> None:
        """Choose the colours, RGB; without, the word depends on no colour."""
        super().__init__(frozenset({Ability.GRADIENTS, Ability.CONCEPT_BANK}))
        self.resizing = type(self.resizing)(SIDE)
        self.grid_size = (CELLS, CELLS)
        self._slope = np.zeros(len(_PALETTE))
        for colour, sign in ((likes, 1), (dislikes, -1)):
            if colour:
                response = self._respond(np.array(colour, float))
                self._slope += sign * response / np.linalg.norm(response)

    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32]) -> Array:  # noqa: D102
        step = SIDE // CELLS
        blocks = pixels.reshape(-1, CELLS, step, CELLS, step, 3).astype(float)
        return self._respond(blocks.mean(axis=(2, 4))).astype(np.float32)

    def cells(self, encodings: Array) -> Array:  # noqa: D102
        return encodings

    def search(self, encodings: Array, beam_width: int | None = None) -> BeamCaption:  # noqa: D102
        count, length = len(encodings), len(CAPTION)
        zeros = np.zeros((count, length), np.float32)
        return BeamCaption(
            tokens=np.tile(np.array(CAPTION, np.int32), (count, 1)),
            log_probs=zeros,
            alternative_tokens=zeros[..., None].astype(np.int32),
            alternative_log_probs=zeros[..., None],
            search_log_probs=zeros,
            hidden=np.zeros((count, length, 0), np.float32),
            beam=np.tile(np.array(CAPTION, np.int32), (count, 1, 1)),
            scores=np.zeros((count, 1), np.float32),
            agreement=np.zeros((count, 1), np.float32),
        )

    def gradient(self, encoding: Array, tokens: Tokens, terms: LogitTerms) -> Array:  # noqa: D102
        rng = np.random.default_rng(encoding.view(np.uint32).ravel()[:64])
        slope = self._slope + rng.normal(0, 0.05, len(_PALETTE))
        return np.broadcast_to(slope, encoding.shape).astype(np.float32)

    def visualise(self, directions: Array, seed: int) -> list[NDArray[np.uint8]]:  # noqa: D102
        return [np.zeros((8, 8, 3), np.uint8) for _ in directions]

    def response(self, colour: Sequence[int]) -> Array:
        """Return what a cell of this colour is encoded as, [C]."""
        return self._respond(np.array(colour, float)).astype(np.float32)

    def _respond(self, colours: NDArray[np.float64]) -> NDArray[np.float64]:
        distances = ((colours[..., None, :] - _PALETTE) ** 2).sum(axis=-1)
        return np.asarray(_SCALES * np.exp(-distances / 2 / _WIDTH**2), np.float64)


def coloured_scenes(count: int) -> list[NDArray[np.uint8]]:
    """Draw scenes of coloured squares, one for each cell: RGB, uint8 [SIDE, SIDE, 3]."""
    rng = np.random.default_rng(2)
    step = SIDE // CELLS
    scenes = []
    for _ in range(count):
        squares = _PALETTE[rng.integers(2, len(_PALETTE), CELLS**2)]
        squares[:2] = RED, BLUE
        image = rng.permutation(squares).reshape(CELLS, CELLS, 3).repeat(step, 0).repeat(step, 1)
        noise = rng.normal(0, 6, image.shape)
        scenes.append(np.clip(image + noise, 0, 255).astype(np.uint8))
    return scenes
