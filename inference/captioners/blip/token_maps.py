"""Maps of all tokens of captions at once: cross-attention times gradient, Grad-CAM and HiResCAM.

Cross-attention times gradient: the attention of a cross-attention layer times the positive part of
the gradient at it, averaged over the heads, without the class token. Li et al., "Align before Fuse"
(ALBEF, NeurIPS 2021) and Li et al., "BLIP" (ICML 2022) visualise their image-text matching so: see
`Grounding.py` in salesforce/ALBEF (block 8 of 12, counted from 0) and `compute_gradcam` of
`lavis/models/blip_models/blip_image_text_matching.py` in salesforce/LAVIS (block 7 in its example
of text localization, which uses BLIP). There the score is that of image and text matching, and a
token's map its own row of the attention; here the score is the token's logit, and its row the one
that it is predicted from.

The gradients are direct: self-attention's keys and values of the other positions are constant. So
the gradient of the sum of all tokens' logits is, at a token's row, the gradient of its own logit,
and one backward pass explains every token. It need not pass the keys and values of the image: the
logit depends on an image token e_n through each layer's and head's reading of it alone,

    s_tn = q_t . k_n,   a_t = softmax of s_t,   m_t = sum over n of a_tn v_n,

with k_n = K e_n + b_k, v_n = V e_n + b_v, and g_t the gradient of the logit at m_t. Therefore

    dz_t/da_tn = g_t . v_n,   dz_t/ds_tn = a_tn (g_t . v_n - g_t . m_t),
    dz_t/de_n = sum over layers and heads of dz_t/ds_tn K' q_t + a_tn V' g_t,

which Grad-CAM and HiResCAM need only as a mean over n, and as products with e_n.
Shapes below: B images, T tokens, H heads of D channels, N patches of C channels; the class token
comes before the patches.
"""

from typing import NamedTuple

import tensorflow as tf

from models.blip import Decoder, Memory
from models.language import PAD


class TokenMaps(NamedTuple):
    """Maps of the logit of each token: float32 [B, T, N]."""

    crossattention: tf.Tensor
    """The mean over the heads of a_tn ReLU(dz_t/da_tn), at one layer; never negative."""
    gradcam: tf.Tensor
    """sum over c of alpha_c e_nc, with alpha_c the mean over the patches of dz_t/de_nc; signed."""
    hirescam: tf.Tensor
    """sum over c of dz_t/de_nc e_nc; signed."""


def token_maps(
    decoder: Decoder,
    layer: int,
    memory: Memory,
    encodings: tf.Tensor,
    tokens: tf.Tensor,
    plus: tf.Tensor,
    minus: tf.Tensor,
) -> TokenMaps:
    """Attribute the logit of each token to the patches.

    Args:
        decoder: The decoder.
        layer: Index of the layer whose cross-attention is explained.
        memory: The keys and values of the encodings, see `Decoder.build_memory`.
        encodings: float32 [B, 1 + N, C].
        tokens: int32 [B, T]: the captions.
        plus: int32 [B, T]: tokens whose logits are added; `PAD` for none, whose map is 0.
        minus: int32 [B, T]: tokens whose logits are subtracted, or `PAD`; see `LogitTerms`.

    Returns:
        The maps of each place.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(memory)
        forced = decoder.teacher_force(tokens, memory, own_gradient=True)
        z = term_logits(decoder, forced.hidden, plus, minus)
    gradients = tape.gradient(z, [read.mixed for read in forced.reads])
    alpha = hirescam = tf.constant(0.0)
    for index, (read, g) in enumerate(zip(forced.reads, gradients, strict=True)):
        attention = decoder.blocks[index].cross_attention
        key, value = attention.key, attention.value
        at_weights = tf.matmul(g, memory[index].values, transpose_b=True)  # [B, H, T, 1 + N]
        mean = tf.reduce_sum(g * read.mixed, axis=-1, keepdims=True)
        at_scores = (read.weights * (at_weights - mean))[..., 1:]
        weights = read.weights[..., 1:]
        if index == layer:
            positive = tf.nn.relu(at_weights[..., 1:])
            crossattention = tf.reduce_mean(weights * positive, axis=1)
        alpha += _mix(read.queries, at_scores, key) + _mix(g, weights, value)
        scores = tf.matmul(read.queries, memory[index].keys)[..., 1:]
        hirescam += tf.reduce_sum(
            at_scores * (scores - _bias(read.queries, key))
            + weights * (at_weights[..., 1:] - _bias(g, value)),
            axis=1,
        )
    patches = encodings[:, 1:]
    gradcam = tf.matmul(alpha, patches, transpose_b=True) / tf.cast(
        tf.shape(patches)[1], tf.float32
    )
    return TokenMaps(crossattention, gradcam, hirescam)


def attention_weights(decoder: Decoder, layer: int, memory: Memory, tokens: tf.Tensor) -> tf.Tensor:
    """Compute the attention of a layer to the patches at each token, averaged over the heads.

    Args:
        decoder: The decoder.
        layer: As in `token_maps`, like the other arguments.
        memory: Of B images.
        tokens: int32 [B, T].

    Returns:
        float32 [B, T, N]; the weights of a token and that of the class token sum to 1.
    """
    weights = decoder.teacher_force(tokens, memory).reads[layer].weights
    return tf.reduce_mean(weights[..., 1:], axis=1)


def term_logits(
    decoder: Decoder, hidden: tf.Tensor, plus: tf.Tensor, minus: tf.Tensor
) -> tf.Tensor:
    """Return the logits of each place's terms [B, T], see `LogitTerms`: hidden [B, T, W]."""
    signs = (tf.cast(words != PAD, tf.float32) for words in (plus, minus))
    added, subtracted = (
        sign * decoder.token_logits(hidden, words)
        for sign, words in zip(signs, (plus, minus), strict=True)
    )
    return added - subtracted


def _mix(vectors: tf.Tensor, weights: tf.Tensor, projection: tf.keras.layers.Dense) -> tf.Tensor:
    """Return the sum over patches and heads of weights times the projection's transpose of vectors.

    Vectors [B, H, T, D] and weights [B, H, T, N] to [B, T, C].
    """
    scaled = vectors * tf.reduce_sum(weights, axis=-1, keepdims=True)
    return tf.matmul(_join(scaled), projection.kernel, transpose_b=True)


def _bias(vectors: tf.Tensor, projection: tf.keras.layers.Dense) -> tf.Tensor:
    """Return the product of vectors [B, H, T, D] with the projection's bias: [B, H, T, 1]."""
    heads, depth = vectors.shape[1], vectors.shape[3]
    bias = tf.reshape(projection.bias, (heads, 1, depth))
    return tf.reduce_sum(vectors * bias, axis=-1, keepdims=True)


def _join(vectors: tf.Tensor) -> tf.Tensor:
    """[B, H, T, D] to [B, T, H * D]."""
    joined = tf.transpose(vectors, (0, 2, 1, 3))
    return tf.reshape(
        joined, (*tf.unstack(tf.shape(joined)[:2]), joined.shape[2] * joined.shape[3])
    )
