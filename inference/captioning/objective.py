"""What is scored and differentiated: the logits of tokens, and the objective of an attack."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.language import PAD


class LogitTerms(NamedTuple):
    """z = the sum over a caption's places of the logit of one token less that of another.

    The token is `PAD` where there is no such term.
    """

    plus: NDArray[np.int32]
    """[T], tokens whose logits are added."""
    minus: NDArray[np.int32]
    """[T], tokens whose logits are subtracted."""


class TokenScores(NamedTuple):
    """The scores of a caption's T tokens, and of K candidates in each place, given B encodings."""

    log_probs: NDArray[np.float32]
    """[B, T]: log p(token | previous tokens), as captions state it."""
    logits: NDArray[np.float32]
    """[B, T, K]: the logit of each candidate, given the caption's previous tokens."""


class AttackObjective(NamedTuple):
    """z = - sum over t of log p(lowered_t | previous tokens) + closeness of the raised token.

    The previous tokens are those of `tokens`. The raised token's closeness is the maximum over the
    places t from `first` on of log p_t(raised) - log p_t(the most probable other token), which is
    above 0 where it is the most probable token (the keyword loss of Chen et al., "Attacking Visual
    Language Grounding with Adversarial Examples: A Case Study on Neural Image Captioning", ACL
    2018). Tokens that no caption contains, such as padding, are left out of all probabilities.
    """

    tokens: NDArray[np.int32]
    """[T]: the caption, up to the last place that matters."""
    lowered: NDArray[np.int32]
    """[T]: tokens to make improbable in their places; `PAD` where there is none."""
    raised: int = PAD
    """The token to make probable in any place from `first` on; `PAD` if there is none."""
    first: int = 0
    """Index of a place, below T."""
