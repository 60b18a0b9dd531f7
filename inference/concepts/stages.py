"""The stages of ACE, each as work in slices that yields what part of it is done."""

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.concepts.captioned import Captioned
from inference.concepts.cavs import RandomSets, random_sets
from inference.concepts.course import within
from inference.concepts.patch_cache import PatchCache
from inference.concepts.patches import Patches, fingerprint, gathered, patches_of
from inference.concepts.pruning import Cluster
from inference.concepts.sampling import random_patches
from inference.concepts.sensitivity import slope
from inference.concepts.statistics import Tested, examine

Array = NDArray[np.float32]
Pictures = Sequence[NDArray[np.uint8]]
Random = tuple[RandomSets, Array]
"""The random sets, and random patches that are in none."""

ENOUGH_OTHERS = 10
"""Pictures that do not say the word; with fewer, random patches come from all segments."""


def spread(places: Sequence[int], most: int) -> list[int]:
    """Choose so many, evenly: the frames of a video's beginning are no better than others."""
    chosen = np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int))
    return [places[each] for each in chosen]


def slopes_of(
    model: CaptionModel, captioned: Sequence[Captioned], said: Sequence[int], token: int
) -> Generator[float, None, Array]:
    """Differentiate the word's logit in each picture that says it: [N, C]."""
    slopes: list[Array] = []
    for place in said:
        yield len(slopes) / len(said)
        each = captioned[place]
        slopes.append(slope(model, each.grid, each.tokens, each.tokens.index(token)))
    return np.array(slopes, np.float32)


def cut(
    model: CaptionModel, pixels: Pictures, sought: Sequence[int], cache: PatchCache
) -> Generator[float, None, Patches]:
    """Cut pictures [S, S, 3] into patches, which bear the numbers of `sought`."""
    encoder = fingerprint(model)
    parts = []
    for number, place in enumerate(sought):
        work = patches_of(model, pixels[place], place, cache, encoder)
        parts.append((yield from within(number / len(sought), 1 / len(sought), work)))
    return gathered(parts)


def draw(
    model: CaptionModel, others: Pictures, own: Patches, count: int, rng: np.random.Generator
) -> Generator[float, None, Random]:
    """Draw random patches of other pictures, or of the word's own if there are too few."""
    if len(others) < ENOUGH_OTHERS:
        drawn = rng.permutation(own.activations)[:count]
    else:
        drawn = yield from random_patches(model, others, count, rng)
    half = len(drawn) // 2
    return random_sets(drawn[:half]), drawn[half:]


def examine_all(
    slopes: Array,
    patches: Patches,
    kept: Sequence[Cluster],
    random: Random,
    draws: int,
    rng: np.random.Generator,
) -> Generator[float, None, list[Tested]]:
    """Examine what the word's logit makes of each cluster."""
    sets, others = random
    tested = []
    for number, cluster in enumerate(kept):
        concept = patches.activations[cluster.members]
        work = examine(slopes, concept, others, sets, rng, draws)
        tested.append((yield from within(number / len(kept), 1 / len(kept), work)))
    return tested
