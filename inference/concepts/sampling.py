"""Patches drawn at random: what concepts are told from."""

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.concepts.course import within
from inference.concepts.patches import activations_of, segments_of

_PICTURES = 50
"""Of which they are taken at most."""


def random_patches(
    model: CaptionModel,
    pictures: Sequence[NDArray[np.uint8]],
    count: int,
    rng: np.random.Generator,
) -> Generator[float, None, NDArray[np.float32]]:
    """Encode patches of pictures, as many of each.

    Args:
        model: The captioner.
        pictures: RGB, uint8 [S, S, 3] each, of the captioner's own size; one at least.
        count: As many, or all that there are.
        rng: Draws pictures and segments.

    Yields:
        How much is done, in 0..1.

    Returns:
        Their activations, [up to count, C], in random order.
    """
    drawn = rng.permutation(len(pictures))[:_PICTURES]
    of_each = -(-count // len(drawn))
    activations = []
    for index, place in enumerate(drawn):
        begun, share = index / len(drawn), 1 / len(drawn)
        segments = yield from within(begun, 0.2 * share, segments_of(pictures[place], int(place)))
        few = [segments[each] for each in rng.permutation(len(segments))[:of_each]]
        encoding = activations_of(model, pictures[place], few)
        activations.append((yield from within(begun + 0.2 * share, 0.8 * share, encoding)))
    found = np.concatenate(activations)
    return np.asarray(rng.permutation(found)[:count], np.float32)
