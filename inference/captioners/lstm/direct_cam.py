"""Grad-CAM, HiResCAM and Read-CAM of all words of captions at once, in closed form.

Selvaraju et al., "Grad-CAM" (ICCV 2017); Draelos and Carin, "Use HiResCAM instead of Grad-CAM for
faithful explanations of convolutional neural networks" (2020). These are direct maps: the gradient
stops at what the previous step passed on (hidden state, cell and context; before the first word,
the initial state). The logit of a word then depends on the grid through one readout of attention,

    z_t = constant + sum over heads h of u_th . sum over cells n of a_thn c_n,
    a_th = softmax over n of (r_th . c_n),

where c_n is the projected and normalised cell, r_th the query computed from the hidden state (with
the key's kernel folded into it) and u_th the gradient of the word's logit at the context. The
gradient at every cell is a sum of twice as many vectors as there are heads, the same for all cells:

    dz_t/dc_n = sum over h of a_thn u_th + a_thn (u_th . c_n - mean) r_th,

where the mean is that of u_th . c over the cells, weighted by a_th. The gradient passes through the
layer normalisation in that form, and is never computed for each word and cell: with words, cells
and channels in one array the same took 3.5 times as long by automatic differentiation.
Shapes below: B images, T words, N cells, H heads, W the width, K = 2H vectors.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.captioner import Decoder
from models.language import PAD


class ClassActivationMaps(NamedTuple):
    """Signed maps by the gradient at the grid A: float32 [B, T, rows, columns]."""

    gradcam: tf.Tensor
    """sum over c of alpha_c A_c, with alpha_c the mean over the cells of dz/dA_c."""
    hirescam: tf.Tensor
    """sum over c of dz/dA_c A_c."""
    readcam: tf.Tensor
    """sum over k of beta_k (c_k - the mean of c_k over the cells), with c the cells that attention
    reads, and beta_k the mean over the cells of dz/dc_k; smoothed."""


class _Cells(NamedTuple):
    """The grid as the decoder reads it."""

    projected: tf.Tensor
    """[B, N, W], without the bias: A times the kernel."""
    standard: tf.Tensor
    """[B, N, W], normalised to a mean of 0 and a variance of 1."""
    inverse_std: tf.Tensor
    """[B, N], 1 / the standard deviation."""
    read: tf.Tensor
    """[B, N, W], the input of attention: `standard`, scaled and shifted."""


class _Gradients(NamedTuple):
    """dz/d`_Cells.standard` of word t at cell n: the sum over k of weight_tkn vector_tk."""

    weights: tf.Tensor
    """[B, T, K, N]"""
    vectors: tf.Tensor
    """[B, T, K, W]"""


def direct_cams(
    decoder: Decoder, grids: tf.Tensor, hidden: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> ClassActivationMaps:
    """Attribute the logit of each word of captions to the cells of the grid.

    Args:
        decoder: The decoder; dropout is off.
        grids: float32 [B, rows, columns, channels].
        hidden: float32 [B, T, W]: the hidden states after the words before each word.
        plus: int32 [B, T]: the words; `PAD` for none, whose map is 0.
        minus: int32 [B, T]: words whose logits are subtracted, or `PAD`; see `LogitTerms`.

    Returns:
        The maps of each place, in logits.
    """
    cells = _cells(decoder, grids)
    context_gradients = _context_gradients(decoder, plus, minus)
    gradients = _gradients(decoder, cells, hidden, context_gradients)
    shape = tf.concat([tf.shape(plus), tf.shape(grids)[1:3]], axis=0)
    read = _read_cam(decoder, cells, context_gradients)
    smooth = tf.matmul(read, _blur_matrix(*grids.shape[1:3]), transpose_b=True)
    maps = (*_grid_cams(cells, gradients), smooth)
    return ClassActivationMaps(*(tf.reshape(each, shape) for each in maps))


def attention_weights(decoder: Decoder, grids: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Compute the attention at each word, averaged over the heads.

    Args:
        decoder: The decoder; dropout is off.
        grids: float32 [B, rows, columns, channels].
        hidden: float32 [B, T, W], as in `direct_cams`.

    Returns:
        float32 [B, T, rows, columns]; each word's weights sum to 1.
    """
    weights = tf.nn.softmax(_products(_queries(decoder, hidden), _cells(decoder, grids).read))
    shape = tf.concat([tf.shape(hidden)[:2], tf.shape(grids)[1:3]], axis=0)
    return tf.reshape(tf.reduce_mean(weights, axis=2), shape)


def _blur_matrix(rows: int, columns: int) -> NDArray[np.float32]:
    """Return the matrix of a Gaussian blur of one cell: [N, N]; its rows sum to 1."""
    down, right = (np.arange(count) for count in (rows, columns))
    weights = [np.exp(-((line[:, None] - line) ** 2) / 2) for line in (down, right)]
    kernel = np.kron(*weights)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True), np.float32)


def _cells(decoder: Decoder, grids: tf.Tensor) -> _Cells:
    norm = decoder.project_norm
    _, rows, columns, channels = grids.shape
    projected = tf.matmul(tf.reshape(grids, (-1, rows * columns, channels)), decoder.project.kernel)
    mean, variance = tf.nn.moments(projected + decoder.project.bias, axes=-1, keepdims=True)
    inverse_std = tf.math.rsqrt(variance + norm.epsilon)
    standard = (projected + decoder.project.bias - mean) * inverse_std
    return _Cells(projected, standard, inverse_std[..., 0], standard * norm.gamma + norm.beta)


def _context_gradients(decoder: Decoder, plus: tf.Tensor, minus: tf.Tensor) -> tf.Tensor:
    """Return the gradient of each place's z at the context that attention read: u, [B, T, W]."""
    words = tf.stack([plus, minus])
    present = tf.cast(words != PAD, tf.float32)[..., None]
    added, subtracted = tf.unstack(tf.gather(decoder.embedding.embeddings, words) * present)
    kernel = decoder.output_projection.kernel[decoder.config.width :]
    return tf.matmul(added - subtracted, kernel, transpose_b=True)


def _gradients(
    decoder: Decoder, cells: _Cells, hidden: tf.Tensor, context_gradients: tf.Tensor
) -> _Gradients:
    queries = _queries(decoder, hidden)
    by_head = context_gradients[:, :, None] * _head_mask(decoder)
    attention = tf.nn.softmax(_products(queries, cells.read))
    gain = _products(by_head, cells.read)
    gain -= tf.reduce_sum(attention * gain, axis=-1, keepdims=True)
    return _Gradients(
        weights=tf.concat([attention, attention * gain], axis=2),
        vectors=tf.concat([by_head, queries], axis=2) * decoder.project_norm.gamma,
    )


def _queries(decoder: Decoder, hidden: tf.Tensor) -> tf.Tensor:
    """Return the queries in the space of the cells: r, [B, T, H, W]."""
    scale = (decoder.config.width // decoder.config.heads) ** -0.5
    queries = decoder.query(hidden)[:, :, None] * _head_mask(decoder) * scale
    return tf.matmul(queries, decoder.key.kernel, transpose_b=True)


def _head_mask(decoder: Decoder) -> tf.Tensor:
    """Return 1 for the channels of each head, 0 for the others: [H, W]."""
    heads = decoder.config.heads
    return tf.repeat(tf.eye(heads), decoder.config.width // heads, axis=1)


def _read_cam(decoder: Decoder, cells: _Cells, context_gradients: tf.Tensor) -> tf.Tensor:
    """Compute Grad-CAM at the cells that attention reads, before smoothing: [B, T, N].

    The attention weights sum to 1, and the gains over their mean sum to 0 when weighted by them. So
    the mean gradient over the cells is the gradient at the context over N, wherever the step reads.
    """
    centred = cells.standard - tf.reduce_mean(cells.standard, axis=1, keepdims=True)
    beta = context_gradients * decoder.project_norm.gamma / cells.standard.shape[1]
    return tf.matmul(beta, centred, transpose_b=True)


def _grid_cams(cells: _Cells, gradients: _Gradients) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute Grad-CAM and HiResCAM, [B, T, N], by backpropagation through the normalisation.

    Layer normalisation removes from the gradient its mean over the channels and its component along
    `standard`.
    """
    weights = gradients.weights * cells.inverse_std[:, None, None]
    vectors = gradients.vectors - tf.reduce_mean(gradients.vectors, axis=-1, keepdims=True)
    width = vectors.shape[-1]
    along = tf.reduce_sum(weights * _products(vectors, cells.standard), axis=2) / width
    at_all_cells = tf.reduce_sum(tf.reduce_sum(weights, axis=-1)[..., None] * vectors, axis=2)
    alpha = (at_all_cells - tf.matmul(along, cells.standard)) / cells.read.shape[1]
    gradcam = tf.matmul(alpha, cells.projected, transpose_b=True)
    length = tf.reduce_sum(cells.standard * cells.projected, axis=-1)
    hirescam = tf.reduce_sum(weights * _products(vectors, cells.projected), axis=2)
    return gradcam, hirescam - along * length[:, None]


def _products(vectors: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """Return the dot product of each vector [B, T, K, W] and cell [B, N, W]: [B, T, K, N]."""
    shape = tf.shape(vectors)
    flat = tf.reshape(vectors, (shape[0], shape[1] * shape[2], shape[3]))
    products = tf.matmul(flat, cells, transpose_b=True)
    return tf.reshape(products, tf.concat([shape[:3], [cells.shape[1]]], axis=0))
