"""Fit a head to the probabilities of words in masked images.

The maps phi of a word are those that best predict its probabilities, in the mean over images, words
and masks, by a sum over the visible cells; see `MapHead`. Of two complementary masks only the
difference of the probabilities is predicted, in which every effect that does not depend on the
choice of cells cancels out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.wording import Wording
from inference.explanations.learn.masked_scores import read_scores
from inference.explanations.map_head import MapHead, base_features, initial_parameters
from models.graph import graph
from models.language import PAD
from models.word_kinds import word_kind

Array = NDArray[np.float32]

Shares = Callable[..., tf.Tensor]
"""Computes phi as `MapHead.shares` does."""

_COMPONENTS = 256
"""Principal components of the cells that the features are fitted in, against overfitting."""
_COMPONENT_FILES, _COMPONENT_CELLS = 24, 2500
"""Files of the cache, and cells in them, from which the components are computed."""

_OBJECT_WEIGHT = 3.0
"""Weight of object words; others often hardly depend on what is visible."""
_RATE, _DECAY, _DROPOUT, _BATCH = 4e-3, 1e-2, 0.4, 32
_MAX_NORM = 1.0
_CHOOSING_SHARE = 0.1
"""Share of the images that choose the epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a head is fitted to: P images, T places, K pairs of masks, D components."""

    cells: NDArray[np.float16]
    """[P, rows, columns, D]"""
    hidden: NDArray[np.float16]
    """[P, T, W]"""
    tokens: NDArray[np.int32]
    """[P, T]"""
    base: Array
    """[P, T, rows, columns]"""
    weights: Array
    """[P, T]: of each token in the loss; 0 for padding."""
    whole: Array
    """[P, T]: p(token) in the whole image."""
    signs: NDArray[np.int8]
    """[P, K, rows, columns]: 1 for cells that the first mask of the pair shows, else -1."""
    changes: Array
    """[P, K, T]: p(token) under the first mask of the pair less that under the second."""

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, rows: NDArray[np.intp]) -> dict[str, tf.Tensor]:
        """Return the examples at these rows as tensors."""
        kept = {each.name: getattr(self, each.name)[rows] for each in fields(self)}
        return {
            name: tf.constant(part if name == "tokens" else part.astype(np.float32))
            for name, part in kept.items()
        }


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted head and how well it predicts."""

    head: MapHead
    images: int
    """Images that it was fitted to."""
    explained: float
    """See `HeadCard`, as is `explained_by_base`."""
    explained_by_base: float


@dataclass(frozen=True, slots=True, eq=False)
class _Basis:
    """Principal components of cells, in units of their mean deviation."""

    mean: Array
    """[C]"""
    vectors: Array
    """[C, D]"""


def fit(
    paths: Sequence[Path],
    wording: Wording,
    base: str,
    epochs: int,
    report: Callable[[float], object],
    seed: int = 0,
) -> Fit:
    """Fit a head; the parameters of the best epoch are kept.

    Args:
        paths: The files of the cache.
        wording: The captioner's tokens as words.
        base: The live method of the base maps.
        epochs: Passes over the images.
        report: Called after each epoch with what the head explains.
        seed: Of the initial parameters and the order of the images.

    Raises:
        ValueError: If there are too few images, or the fit diverges.
        OSError: If a file cannot be read.
    """
    random = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    basis = _principal_components(paths)
    examples = read_examples(paths, wording, basis)
    count = round(_CHOOSING_SHARE * len(examples))
    if count < 1:
        raise ValueError(
            f"{len(examples)} images are too few to fit maps to; give more with --images"
        )
    rows = np.arange(len(examples))
    training, choosing = rows[:-count], rows[-count:]
    rows_columns, width = examples.cells.shape[1:3], examples.hidden.shape[-1]
    tokens = len(wording.pieces)
    head = MapHead(
        initial_parameters(random, rows_columns, examples.cells.shape[-1], width, tokens), base
    )
    best, parameters = -np.inf, {}
    for _ in _train(head, examples, training, epochs, random):
        explained = explained_share(head.shares, examples, choosing)
        report(explained)
        if explained > best:
            best = explained
            parameters = {name: each.numpy() for name, each in head.parameters.items()}
    if not parameters:
        raise ValueError(
            "the fit diverged: no epoch gave finite maps, so scores in the cache may be damaged; "
            "give another --cache"
        )
    seen = np.isin(np.arange(tokens), examples.tokens[training])
    scaled = _scaled_base(examples, training)
    return Fit(
        MapHead(_compose(parameters, basis, seen), base),
        len(training),
        best,
        explained_share(scaled, examples, choosing),
    )


def explained_share(shares: Shares, examples: Examples, rows: NDArray[np.intp]) -> float:
    """Return the share of the weighted squares of the changes that phi predicts: at most 1."""
    missed = total = 0.0
    for start in range(0, len(rows), _BATCH):
        batch = examples.batch(rows[start : start + _BATCH])
        nothing = tf.zeros_like(batch["base"])
        missed += float(_squares(_phi(shares, batch), batch))
        total += float(_squares(nothing, batch))
    return 1 - missed / total if total else 0.0


def read_examples(paths: Sequence[Path], wording: Wording, basis: "_Basis") -> Examples:
    """Read the files of the cache, one at a time, as the cells need memory."""
    kinds: dict[str, bool] = {}
    parts = []
    for path in paths:
        scores = read_scores(path)
        probabilities = np.exp(scores.masked)
        centred = scores.cells.astype(np.float32) - basis.mean
        parts.append(
            Examples(
                cells=(centred @ basis.vectors).astype(np.float16),
                hidden=scores.hidden,
                tokens=scores.tokens,
                base=scores.base,
                weights=_weights(scores.tokens, wording, kinds),
                whole=np.exp(scores.whole),
                signs=np.where(scores.visible[:, ::2], 1, -1).astype(np.int8),
                changes=probabilities[:, ::2] - probabilities[:, 1::2],
            )
        )
    places = max(part.tokens.shape[1] for part in parts)
    padded = [
        replace(
            part,
            **{
                name: _pad(getattr(part, name), axis, places) for name, axis in _PLACES_AXIS.items()
            },
        )
        for part in parts
    ]
    names = [each.name for each in fields(Examples)]
    return Examples(
        **{name: np.concatenate([getattr(part, name) for part in padded]) for name in names}
    )


_PLACES_AXIS = {"hidden": 1, "tokens": 1, "base": 1, "weights": 1, "whole": 1, "changes": 2}


def _pad(array: NDArray[Any], axis: int, length: int) -> NDArray[Any]:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - array.shape[axis])
    return np.pad(array, widths)


def _weights(tokens: NDArray[np.int32], wording: Wording, objects: dict[str, bool]) -> Array:
    """Return the weight of each token in the loss."""
    weights = np.where(tokens != PAD, np.float32(1), np.float32(0))
    for row, caption in zip(weights, tokens, strict=True):
        for word in wording.words(caption):
            if word.text not in objects:
                objects[word.text] = word_kind(word.text) == "object"
            if objects[word.text]:
                row[word.start : word.stop] = _OBJECT_WEIGHT
    return weights


def _principal_components(paths: Sequence[Path]) -> _Basis:
    chosen = paths[:: max(1, len(paths) // _COMPONENT_FILES)]
    parts = [read_scores(path).cells for path in chosen]
    cells = np.concatenate([each.reshape(-1, each.shape[-1]) for each in parts])
    cells = cells[:: -(-len(cells) // _COMPONENT_CELLS)].astype(np.float32)
    mean = cells.mean(axis=0)
    _, lengths, vectors = np.linalg.svd(cells - mean, full_matrices=False)
    kept = vectors[:_COMPONENTS].T
    deviation = float(np.sqrt((lengths[:_COMPONENTS] ** 2).mean() / len(cells)))
    deviation = max(deviation, float(np.finfo(np.float32).tiny))
    return _Basis(mean, (kept / deviation).astype(np.float32))


def _train(
    head: MapHead,
    examples: Examples,
    rows: NDArray[np.intp],
    epochs: int,
    random: np.random.Generator,
) -> Iterator[None]:
    """Train a head by AdamW with a cosine schedule; yield after each epoch."""
    variables = list(head.parameters.values())
    steps = epochs * -(-len(rows) // _BATCH)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=_DECAY, clipnorm=None)
    optimizer.build(variables)

    def step(batch: dict[str, tf.Tensor]) -> None:
        with tf.GradientTape() as tape:
            loss = _squares(_phi(head.shares, batch, dropout=_DROPOUT), batch)
            loss /= tf.reduce_sum(batch["weights"])
        gradients = tape.gradient(loss, variables)
        dense = [tf.convert_to_tensor(each) for each in gradients]
        clipped, _ = tf.clip_by_global_norm(dense, _MAX_NORM)
        optimizer.apply(clipped, variables)

    compiled = graph(step, reduce_retracing=True)
    for _ in range(epochs):
        order = random.permutation(rows)
        for start in range(0, len(order), _BATCH):
            compiled(examples.batch(order[start : start + _BATCH]))
        yield


def _phi(shares: Shares, batch: Mapping[str, tf.Tensor], **options: float) -> tf.Tensor:
    return shares(*(batch[name] for name in ("cells", "hidden", "tokens", "base")), **options)


def _squares(phi: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return the weighted sum of the squared errors of the predicted changes."""
    sums = tf.einsum("pkrc,ptrc->pkt", batch["signs"], phi)
    errors = sums * batch["whole"][:, None] - batch["changes"]
    return tf.reduce_sum(errors**2 * batch["weights"][:, None])


def _scaled_base(examples: Examples, rows: NDArray[np.intp]) -> Shares:
    """Return the base maps as phi, with the constant and the scales that fit best."""
    size = 3
    products, with_changes = np.zeros((size, size)), np.zeros(size)
    for start in range(0, len(rows), _BATCH):
        batch = examples.batch(rows[start : start + _BATCH])
        features = _scalable(batch["base"])
        sums = (
            np.stack(
                [np.einsum("pkrc,ptrc->pkt", batch["signs"], each) for each in features], axis=-1
            )
            * np.asarray(batch["whole"])[:, None, :, None]
        )
        weighted = sums * np.asarray(batch["weights"])[:, None, :, None]
        products += np.einsum("pkti,pktj->ij", weighted, sums)
        with_changes += np.einsum("pkti,pkt->i", weighted, batch["changes"])
    scales = np.linalg.lstsq(products, with_changes, rcond=None)[0].astype(np.float32)

    def shares(*inputs: tf.Tensor) -> tf.Tensor:
        return sum(scale * each for scale, each in zip(scales, _scalable(inputs[-1]), strict=True))

    return shares


def _scalable(base: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return tf.ones_like(base), *base_features(base)


def _compose(
    parameters: Mapping[str, Array], basis: _Basis, seen: NDArray[np.bool_]
) -> dict[str, Array]:
    """Return parameters for cells instead of their components; words never seen have features 0."""
    kernel = basis.vectors @ parameters["cell"]
    return {
        **parameters,
        "cell": kernel,
        "offset": parameters["offset"] - basis.mean @ kernel,
        "word": np.where(seen[:, None], parameters["word"], 0),
    }
