"""A small network that predicts words' maps from an encoding, kept in its captioner's folder.

Amortised attribution: instead of masking an image hundreds of times, a network learns over many
images what masking would show (Jethani et al., "FastSHAP: Real-Time Shapley Value Estimation",
ICLR 2022; Schwarzenberg et al., "Efficient Explanations from Empirical Explainers", BlackboxNLP
2021). `python -m inference.explanations.learn` trains it. Shapes: B images, T places of a caption,
N cells, C channels of a cell, W the width of the decoder's state, H heads with D features each, F
filters.
"""

import json
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from models.catalogue.state import captioner_sha256
from models.graph import graph
from models.language import PAD

Array = NDArray[np.float32]

FILE = "word-maps.npz"

_FORMAT = 1
_EPSILON = 1e-3
_LEARN = "python -m inference.explanations.learn --data DIR --captioner"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeadCard:
    """What a head was trained for and on."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    weights_sha256: str
    """Of the captioner's weights."""
    images: int
    """Number of training images, without those that chose the epoch."""
    masks: int
    """Masked copies of each."""
    explained: float
    """Share of the variance of the words' probabilities in masked images that the maps explain, on
    the images that chose the epoch; at most 1."""
    explained_by_base: float
    """The same for the maps of the base method, scaled as fits the training images best."""
    format: int = _FORMAT


class MapHead:
    """The network.

    Features of each cell and of each word are multiplied head by head. Convolutions over the cells
    combine the products with the word's map by the base method. The result, added to a multiple of
    that map, is phi, with

        p(word | visible cells) = constant + p(word | image) * sum over the visible n of phi_n.
    """

    def __init__(self, parameters: Mapping[str, NDArray[np.floating]], base: str) -> None:
        """Use these parameters, in single precision.

        Args:
            parameters: See `initial_parameters`.
            base: The captioner's live method whose maps the head starts from.
        """
        self.base = base
        self.parameters = {
            name: tf.Variable(values.astype(np.float32), name=name)
            for name, values in parameters.items()
        }
        self._graph = graph(self._maps, reduce_retracing=True)

    def __call__(
        self, cells: Array, hidden: Array, tokens: NDArray[np.int32], base: Array
    ) -> Array:
        """Predict the maps of tokens.

        Args:
            cells: [B, rows, columns, C].
            hidden: [B, T, W]: the decoder's state before each token.
            tokens: [B, T].
            base: [B, T, rows, columns]: signed maps by the base method.

        Returns:
            phi less its minimum over the cells, float32 [B, T, rows, columns]; 0 for the token
            `PAD`.
        """
        return np.asarray(self._graph(*map(tf.constant, (cells, hidden, tokens, base))))

    def shares(
        self,
        cells: tf.Tensor,
        hidden: tf.Tensor,
        tokens: tf.Tensor,
        base: tf.Tensor,
        dropout: float = 0.0,
    ) -> tf.Tensor:
        """Compute phi, differentiably in the parameters: [B, T, rows, columns].

        Args:
            cells: As in `__call__`, like the other arguments.
            hidden: [B, T, W].
            tokens: [B, T].
            base: [B, T, rows, columns].
            dropout: Rate in training.
        """
        own = self.parameters
        standard, share = base_features(base)
        # Of the planes that are mixed two are these.
        heads = own["mix"].shape[2] - 2
        of_cells = tf.tensordot(cells, own["cell"], 1) + own["offset"] + own["position"]
        of_words = tf.gather(own["word"], tokens) + tf.tensordot(hidden, own["state"], 1)
        of_cells, of_words = (_split(_normalise(each), heads) for each in (of_cells, of_words))
        if dropout:
            of_words = tf.nn.dropout(of_words, dropout)
        products = tf.einsum("brckd,btkd->btrck", of_cells, of_words)
        stacked = tf.concat([products, standard[..., None], share[..., None]], axis=-1)
        shape = tf.shape(base)
        flat = tf.reshape(stacked, (-1, *stacked.shape[2:]))
        mixed = tf.nn.gelu(tf.nn.conv2d(flat, own["mix"], 1, "SAME") + own["mix_bias"])
        if dropout:
            mixed = tf.nn.dropout(mixed, dropout)
        refined = tf.reshape(tf.nn.conv2d(mixed, own["refine"], 1, "SAME"), shape)
        constant, of_standard, of_share = tf.unstack(own["scale"])
        # Of the order of 1, as all parameters are: they are learnt at the same rate.
        phi = constant + of_standard * standard + of_share * share + refined
        return phi / tf.cast(shape[2] * shape[3], tf.float32)

    def _maps(
        self, cells: tf.Tensor, hidden: tf.Tensor, tokens: tf.Tensor, base: tf.Tensor
    ) -> tf.Tensor:
        phi = self.shares(cells, hidden, tokens, base)
        phi -= tf.reduce_min(phi, axis=(2, 3), keepdims=True)
        return phi * tf.cast(tokens != PAD, tf.float32)[..., None, None]


def initial_parameters(
    random: np.random.Generator,
    grid_size: tuple[int, int],
    channels: int,
    width: int,
    tokens: int,
    *,
    features: int = 64,
    heads: int = 16,
    filters: int = 16,
) -> dict[str, Array]:
    """Draw parameters whose maps are close to those of the base method.

    Args:
        random: Draws them.
        grid_size: Rows and columns of the cells.
        channels: C.
        width: W; 0 for a decoder without a state.
        tokens: Size of the vocabulary.
        features: H * D.
        heads: H.
        filters: F.
    """

    def draw(deviation: float, *shape: int) -> Array:
        return (random.standard_normal(shape) * deviation).astype(np.float32)

    planes = heads + 2
    return {
        "cell": draw(channels**-0.5, channels, features),
        "offset": np.zeros(features, np.float32),
        "position": draw(0.02, *grid_size, features),
        "state": draw(max(width, 1) ** -0.5, width, features),
        "word": draw(0.02, tokens, features),
        "mix": draw((2 / (9 * planes)) ** 0.5, 3, 3, planes, filters),
        "mix_bias": np.zeros(filters, np.float32),
        "refine": draw(0.1 * (9 * filters) ** -0.5, 3, 3, filters, 1),
        # Of a constant and the base's two features. The sum of phi over the cells is then 0.9.
        "scale": np.array([0.5, 0.2, 0.4], np.float32),
    }


def save_head(folder: Path, head: MapHead, card: HeadCard) -> Path:
    """Write a head into its captioner's folder, in half precision; return the file's path.

    Raises:
        OSError: If the file cannot be written.
    """
    arrays: dict[str, Any] = {
        name: each.numpy().astype(np.float16) for name, each in head.parameters.items()
    }
    # Of most tokens nothing was learnt.
    word = arrays.pop("word")
    known = np.flatnonzero(word.any(axis=1))
    arrays |= {"word": word[known], "known": known.astype(np.int32), "tokens": len(word)}
    arrays |= {"card": json.dumps(asdict(card)), "base": head.base}
    partial, path = folder / f"{FILE}.partial", folder / FILE
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def load_head(folder: Path) -> MapHead | None:
    """Load the head in a captioner's folder; None if there is none that can be used.

    The captioner works without it. So a file that is damaged, or was made for other weights, is
    left out, and a warning says so.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    again = f"; train it again: {_LEARN} {folder}"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            values = dict(arrays)
        card = TypeAdapter(HeadCard).validate_json(str(values.pop("card")))
        if card.format != _FORMAT:
            raise ValueError(f"its format is {card.format}, not {_FORMAT}")
        word = np.zeros((int(values.pop("tokens")), values["word"].shape[1]), np.float32)
        word[values.pop("known")] = values["word"]
        base = str(values.pop("base"))
        head = MapHead(values | {"word": word}, base)
    except ValidationError:
        logger.warning("%s is left out: it has no valid card%s", path, again)
        return None
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as problem:
        logger.warning("%s is left out: it is damaged (%s)%s", path, problem, again)
        return None
    if card.weights_sha256 != captioner_sha256(folder):
        logger.warning("%s is left out: it was made for other weights%s", path, again)
        return None
    return head


def base_features(base: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a word's map in standard deviations from its mean, and as shares of its support."""
    mean = tf.reduce_mean(base, axis=(2, 3), keepdims=True)
    deviation = tf.math.reduce_std(base, axis=(2, 3), keepdims=True)
    positive = tf.nn.relu(base)
    share = tf.math.divide_no_nan(positive, tf.reduce_mean(positive, axis=(2, 3), keepdims=True))
    return tf.math.divide_no_nan(base - mean, deviation), share


def _normalise(features: tf.Tensor) -> tf.Tensor:
    """Normalise the last axis to a mean of 0 and a variance of 1 (Ba et al., 2016)."""
    mean, variance = tf.nn.moments(features, axes=-1, keepdims=True)
    return (features - mean) * tf.math.rsqrt(variance + _EPSILON)


def _split(features: tf.Tensor, heads: int) -> tf.Tensor:
    """Split the last axis into heads: [..., H * D] to [..., H, D]."""
    shape = tf.shape(features)
    return tf.reshape(features, tf.concat([shape[:-1], [heads, features.shape[-1] // heads]], 0))
