"""The model-randomisation check: a map that explains a model changes with its weights.

Adebayo et al., "Sanity Checks for Saliency Maps" (NeurIPS 2018): weights are randomised from the
top down, one part after the other, each on top of those before, and each map is compared with the
one of the trained model. The maps of an edge detector would stay as they are.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.faithfulness.measurement import Said, object_maps
from models.calibration import rank_correlation
from models.graph import graph

TRAINED = "trained"
"""The stage at which no weight is random: maps are compared with themselves."""
UNRELATED = "another picture's words"
"""No stage: what maps have in common that explain different things, such as a love of the centre.
Less than that cannot be expected."""

_DECODER = (
    ("output", ("output", "word_bias", "embedding")),
    ("LSTM", ("lstm", "start_hidden", "start_cell")),
    ("attention", ("query", "key")),
    ("projection", ("project", "project_norm")),
)
"""Parts of the decoder from the top down, with their layers."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """How much maps are like those of the trained model."""

    stage: str
    """What was randomised last."""
    correlations: tuple[float, ...]
    """Rank correlation of the cells, in -1..1, of each picture: the mean over its object words."""


class KerasEncoded(CaptionModel):
    """A captioner whose encoder follows its weights: Keras computes it, and no conversion."""

    def __init__(self, folder: Path) -> None:
        """Load the captioner.

        Raises:
            models.checkpoint.ReleaseError: If the folder holds no captioner that can be run.
        """
        self._graph: Callable[[Any], Any] | None = None
        super().__init__(folder)

    def encode_pixels(  # noqa: D102 (inherited)
        self, pixels: NDArray[np.uint8 | np.float32]
    ) -> NDArray[np.float32]:
        if self._graph is None:
            encoder = self.captioner.encoder
            self._graph = graph(
                lambda pixels: encoder(pixels),
                input_signature=[tf.TensorSpec((None, *encoder.input_shape[1:]), tf.float32)],
            )
        return np.asarray(self._graph(tf.constant(pixels, tf.float32)))


def randomise(
    model: KerasEncoded, said: Sequence[Said], methods: Sequence[str], seed: int = 0
) -> Iterator[dict[str, Similarity]]:
    """Compare the maps of object words while more and more of a captioner is randomised.

    The captions and their words stay what the trained captioner said.

    Args:
        model: The captioner; of its weights nothing will be left.
        said: Pictures with their captions.
        methods: Names of `inference.explanations.methods.METHODS`.
        seed: Of the random weights.

    Yields:
        The similarities by method: of the trained captioner, of unrelated maps, and then after each
        part.
    """
    random = np.random.default_rng(seed)
    originals = {method: _maps(model, said, method) for method in methods}
    yield {method: _similarity(TRAINED, maps, maps) for method, maps in originals.items()}
    yield {method: _unrelated(maps) for method, maps in originals.items()}
    for stage, weights in parts(model):
        for weight in weights:
            shuffle(weight, random)
        yield {
            method: _similarity(stage, maps, _maps(model, said, method))
            for method, maps in originals.items()
        }


def parts(model: CaptionModel) -> Iterator[tuple[str, list[Any]]]:
    """The captioner's parts from the top down, each with its weights; none has a name twice."""
    decoder = model.captioner.decoder
    for stage, layers in _DECODER:
        yield stage, [weight for weight in decoder.weights if _layer(weight.path) in layers]
    blocks: dict[str, list[Any]] = {}
    for layer in model.captioner.encoder.layers:
        if layer.weights:
            blocks.setdefault(_block(layer.name), []).extend(layer.weights)
    yield from reversed(blocks.items())


def shuffle(weight: Any, random: np.random.Generator) -> None:
    """Put a variable's values in random order: the trained scale without what was learnt."""
    values = np.asarray(weight.numpy())
    weight.assign(random.permutation(values.reshape(-1)).reshape(values.shape))


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Rank correlation of two maps, cell by cell; 0 where one is the same everywhere."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return rank_correlation(a, b)


_Maps = list[list[NDArray[np.float64]]]
"""Of each picture those of each object word."""


def _maps(model: CaptionModel, said: Sequence[Said], method: str) -> _Maps:
    return [object_maps(model, each, method) for each in said]


def _similarity(stage: str, originals: _Maps, maps: _Maps) -> Similarity:
    return Similarity(
        stage,
        tuple(
            float(np.mean([correlation(a, b) for a, b in zip(before, after, strict=True)]))
            for before, after in zip(originals, maps, strict=True)
            if before
        ),
    )


def _unrelated(maps: _Maps) -> Similarity:
    """Compare the maps of each picture with those of the next."""
    told = [picture for picture in maps if picture]
    pairs = zip(told, [*told[1:], *told[:1]], strict=True) if len(told) > 1 else ()
    return Similarity(
        UNRELATED,
        tuple(
            float(np.mean([correlation(a, b) for a in one for b in other])) for one, other in pairs
        ),
    )


def _layer(path: str) -> str:
    return path.removeprefix("decoder/").partition("/")[0]


def _block(layer: str) -> str:
    """The encoder's block that a layer is of: "block7_expand_norm" is of "block7"."""
    found = re.match(r"(block\d+[a-z]?|[a-z]+)", layer)
    return found[1] if found else layer
