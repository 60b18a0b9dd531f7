"""Model-randomisation test: a map that explains a model must change when its weights change.

Adebayo et al., "Sanity Checks for Saliency Maps" (NeurIPS 2018): weights are randomised from the
top down, one part after another, cumulatively, and each map is compared with that of the trained
model. The maps of an edge detector would not change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.faithfulness.measurement import Sample, WordMaps, object_maps
from models.calibration import rank_correlation

TRAINED = "trained"
"""The stage at which no weight is random: maps are compared with themselves."""
UNRELATED = "words of another image"
"""Not a stage: what maps of unrelated words have in common, such as a bias to the centre. Lower
similarities cannot be expected."""

_Maps = list[list[NDArray[np.float64]]]
"""For each image, the maps of its object words."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """Similarity of maps to those of the trained model."""

    stage: str
    """The part that was randomised last."""
    correlations: tuple[float, ...]
    """Rank correlation over the cells, in -1..1, for each image: the mean over its object words."""


def randomise(
    model: CaptionModel, samples: Sequence[Sample], methods: Mapping[str, WordMaps], seed: int = 0
) -> Iterator[dict[str, Similarity]]:
    """Compare the maps of object words while more and more of a captioner is randomised.

    The captions and their words remain those of the trained captioner.

    Args:
        model: The captioner, from `CaptionModel.with_variable_weights`; all its weights will be
            randomised.
        samples: Images with their captions.
        methods: What explains words by the captioner's weights, by name.
        seed: Of the random weights.

    Yields:
        The similarities by method: of the trained captioner, of unrelated maps, and then after each
        part.
    """
    random = np.random.default_rng(seed)
    originals = {name: _maps(model, samples, maps) for name, maps in methods.items()}
    yield {method: _similarity(TRAINED, maps, maps) for method, maps in originals.items()}
    yield {method: _unrelated_similarity(maps) for method, maps in originals.items()}
    for stage, weights in model.weight_stages():
        for weight in weights:
            shuffle_weights(weight, random)
        yield {
            name: _similarity(stage, maps, _maps(model, samples, methods[name]))
            for name, maps in originals.items()
        }


def shuffle_weights(weight: Any, random: np.random.Generator) -> None:
    """Shuffle a variable's values: this keeps the trained scale and removes what was learnt."""
    values = np.asarray(weight.numpy())
    weight.assign(random.permutation(values.reshape(-1)).reshape(values.shape))


def _maps(model: CaptionModel, samples: Sequence[Sample], maps: WordMaps) -> _Maps:
    return [object_maps(model, each, maps) for each in samples]


def _similarity(stage: str, originals: _Maps, maps: _Maps) -> Similarity:
    return Similarity(
        stage,
        tuple(
            float(np.mean([rank_correlation(a, b) for a, b in zip(before, after, strict=True)]))
            for before, after in zip(originals, maps, strict=True)
            if before
        ),
    )


def _unrelated_similarity(maps: _Maps) -> Similarity:
    """Compare the maps of each image with those of the next."""
    explained = [image for image in maps if image]
    others = [*explained[1:], *explained[:1]]
    pairs = zip(explained, others, strict=True) if len(explained) > 1 else ()
    return Similarity(
        UNRELATED,
        tuple(
            float(np.mean([rank_correlation(a, b) for a in one for b in other]))
            for one, other in pairs
        ),
    )
