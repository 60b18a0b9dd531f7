"""Grad-CAM and HiResCAM of all words of captions at once, direct and in closed form.

Selvaraju et al., "Grad-CAM" (ICCV 2017); Draelos and Carin, "Use HiResCAM instead of Grad-CAM for
faithful explanations of convolutional neural networks" (2020). Direct: the gradient stops at what
the step before handed over (hidden state, cell and context; before the first word, the start
state). Then the logit of a word depends on the grid through a single reading of it by attention,

    z_t = constant + sum over heads h of u_th . sum over cells n of a_thn c_n,
    a_th = softmax over n of (r_th . c_n),

where c_n is the projected and normalised cell, r_th the query that the hidden state asks (the key's
kernel folded into it) and u_th what the word makes of the context. So the gradient at every cell is
a sum of twice as many vectors as there are heads, which are the same for all cells:

    dz_t/dc_n = sum over h of a_thn u_th + a_thn (u_th . c_n - mean) r_th,

the mean being that of u_th . c over the cells, weighted by a_th. The gradient is carried on through
the layer normalisation in that form, and never made for each word and cell apart: with words, cells
and channels all in one array the same took 3.5 times as long by automatic differentiation.
Shapes below: B pictures, T words, N cells, H heads, W the width, K = 2H vectors.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.captioner import Decoder
from models.language import PAD


class Cams(NamedTuple):
    """Maps by the gradient at the grid A, of any sign: float32 [B, T, rows, columns]."""

    gradcam: tf.Tensor
    """sum over c of alpha_c A_c, with alpha_c the mean over the cells of dz/dA_c."""
    hirescam: tf.Tensor
    """sum over c of dz/dA_c A_c."""
    readcam: tf.Tensor
    """sum over k of beta_k (c_k - the mean of c_k over the cells), with c the cells as attention
    reads them, and beta_k the mean over the cells of dz/dc_k; smoothed."""


class _Cells(NamedTuple):
    """The grid as the decoder reads it."""

    projected: tf.Tensor
    """[B, N, W], without the bias: A times the kernel."""
    standard: tf.Tensor
    """[B, N, W], normalised to a mean of 0 and a variance of 1."""
    inverse: tf.Tensor
    """[B, N], 1 / the standard deviation."""
    read: tf.Tensor
    """[B, N, W], what attention is computed from: `standard`, scaled and shifted."""


class _Gradients(NamedTuple):
    """dz/d`_Cells.standard` of word t at cell n: the sum over k of weight_tkn vector_tk."""

    weights: tf.Tensor
    """[B, T, K, N]"""
    vectors: tf.Tensor
    """[B, T, K, W]"""


def direct_cams(
    decoder: Decoder, grids: tf.Tensor, hidden: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> Cams:
    """Attribute the logit of each word of captions to the cells of the grid.

    Args:
        decoder: The decoder; dropout is off.
        grids: float32 [B, rows, columns, channels].
        hidden: float32 [B, T, W]: the hidden states that have read the words before each.
        plus: int32 [B, T]: the words; `PAD` for none, whose map is 0.
        minus: int32 [B, T]: words whose logits are taken off, or `PAD`; see `Terms`.

    Returns:
        The maps of each place, in logits.
    """
    cells = _cells(decoder, grids)
    meaning = _meaning(decoder, plus, minus)
    gradients = _gradients(decoder, cells, hidden, meaning)
    shape = tf.concat([tf.shape(plus), tf.shape(grids)[1:3]], axis=0)
    read = _at_what_is_read(decoder, cells, meaning)
    smooth = tf.matmul(read, smoothing(*grids.shape[1:3]), transpose_b=True)
    maps = (*_through_normalisation(cells, gradients), smooth)
    return Cams(*(tf.reshape(each, shape) for each in maps))


def attention(decoder: Decoder, grids: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Tell what was read before each word: the mean over the heads of their attention.

    Args:
        decoder: The decoder; dropout is off.
        grids: float32 [B, rows, columns, channels].
        hidden: float32 [B, T, W], as `direct_cams` takes it.

    Returns:
        float32 [B, T, rows, columns], of each word summing to 1.
    """
    weights = tf.nn.softmax(_along(_asked(decoder, hidden), _cells(decoder, grids).read))
    shape = tf.concat([tf.shape(hidden)[:2], tf.shape(grids)[1:3]], axis=0)
    return tf.reshape(tf.reduce_mean(weights, axis=2), shape)


def smoothing(rows: int, columns: int) -> NDArray[np.float32]:
    """Means over neighbouring cells, weighted by a Gaussian of one cell: [N, N], rows sum to 1."""
    down, right = (np.arange(count) for count in (rows, columns))
    weights = [np.exp(-((line[:, None] - line) ** 2) / 2) for line in (down, right)]
    kernel = np.kron(*weights)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True), np.float32)


def _cells(decoder: Decoder, grids: tf.Tensor) -> _Cells:
    norm = decoder.project_norm
    _, rows, columns, channels = grids.shape
    projected = tf.matmul(tf.reshape(grids, (-1, rows * columns, channels)), decoder.project.kernel)
    mean, variance = tf.nn.moments(projected + decoder.project.bias, axes=-1, keepdims=True)
    inverse = tf.math.rsqrt(variance + norm.epsilon)
    standard = (projected + decoder.project.bias - mean) * inverse
    return _Cells(projected, standard, inverse[..., 0], standard * norm.gamma + norm.beta)


def _meaning(decoder: Decoder, plus: tf.Tensor, minus: tf.Tensor) -> tf.Tensor:
    """The gradient of each place's z to the context that was read for it: [B, T, W]."""
    words = tf.stack([plus, minus])
    there = tf.cast(words != PAD, tf.float32)[..., None]
    added, taken_off = tf.unstack(tf.gather(decoder.embedding.embeddings, words) * there)
    kernel = decoder.output_projection.kernel[decoder.config.width :]
    return tf.matmul(added - taken_off, kernel, transpose_b=True)


def _gradients(
    decoder: Decoder, cells: _Cells, hidden: tf.Tensor, meaning: tf.Tensor
) -> _Gradients:
    asked = _asked(decoder, hidden)
    meant = meaning[:, :, None] * _of_head(decoder)
    attention = tf.nn.softmax(_along(asked, cells.read))
    gain = _along(meant, cells.read)
    gain -= tf.reduce_sum(attention * gain, axis=-1, keepdims=True)
    return _Gradients(
        weights=tf.concat([attention, attention * gain], axis=2),
        vectors=tf.concat([meant, asked], axis=2) * decoder.project_norm.gamma,
    )


def _asked(decoder: Decoder, hidden: tf.Tensor) -> tf.Tensor:
    """What attention multiplies the cells with: r, [B, T, H, W]."""
    scale = (decoder.config.width // decoder.config.heads) ** -0.5
    queries = decoder.query(hidden)[:, :, None] * _of_head(decoder) * scale
    return tf.matmul(queries, decoder.key.kernel, transpose_b=True)


def _of_head(decoder: Decoder) -> tf.Tensor:
    """Which channels are of which head: 0 or 1, [H, W]."""
    heads = decoder.config.heads
    return tf.repeat(tf.eye(heads), decoder.config.width // heads, axis=1)


def _at_what_is_read(decoder: Decoder, cells: _Cells, meaning: tf.Tensor) -> tf.Tensor:
    """Grad-CAM where attention reads, [B, T, N].

    Attention sums to 1, and the gains over their mean sum to 0 by it: so the mean over the cells of
    the gradient there is what the word makes of the context, over N, wherever the step has read.
    """
    centred = cells.standard - tf.reduce_mean(cells.standard, axis=1, keepdims=True)
    beta = meaning * decoder.project_norm.gamma / cells.standard.shape[1]
    return tf.matmul(beta, centred, transpose_b=True)


def _through_normalisation(cells: _Cells, gradients: _Gradients) -> tuple[tf.Tensor, tf.Tensor]:
    """Both maps, [B, T, N], with the gradient carried on to what was normalised.

    Layer normalisation takes off what is the same for all channels, and what goes along `standard`.
    """
    weights = gradients.weights * cells.inverse[:, None, None]
    vectors = gradients.vectors - tf.reduce_mean(gradients.vectors, axis=-1, keepdims=True)
    width = vectors.shape[-1]
    along = tf.reduce_sum(weights * _along(vectors, cells.standard), axis=2) / width
    at_all_cells = tf.reduce_sum(tf.reduce_sum(weights, axis=-1)[..., None] * vectors, axis=2)
    alpha = (at_all_cells - tf.matmul(along, cells.standard)) / cells.read.shape[1]
    gradcam = tf.matmul(alpha, cells.projected, transpose_b=True)
    length = tf.reduce_sum(cells.standard * cells.projected, axis=-1)
    hirescam = tf.reduce_sum(weights * _along(vectors, cells.projected), axis=2)
    return gradcam, hirescam - along * length[:, None]


def _along(vectors: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """The product of each vector [B, T, K, W] and cell [B, N, W]: [B, T, K, N]."""
    shape = tf.shape(vectors)
    flat = tf.reshape(vectors, (shape[0], shape[1] * shape[2], shape[3]))
    products = tf.matmul(flat, cells, transpose_b=True)
    return tf.reshape(products, tf.concat([shape[:3], [cells.shape[1]]], axis=0))
