"""Exact tests without assumptions about distributions, and their correction for several words."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE_LEVEL = 0.05
"""Probability of a wrong conclusion that a test accepts."""


def lowest_rank_p(own: float, others: NDArray[np.floating]) -> float:
    """Test whether a value is lower than others: one-sided, exact.

    The p-value is (1 + number of others as low) / (1 + number of others). Under the null hypothesis
    that the value is one of all of them, chosen at random, it is at most a with a probability of at
    most a (Phipson and Smyth, Permutation P-values Should Never Be Zero, 2010).

    Args:
        own: The value.
        others: [N], N from 0.
    """
    return (1 + int(np.count_nonzero(others <= own))) / (1 + len(others))


def majority_p(count: int, total: int) -> float:
    """Test whether more than half of a population has a property: the one-sided sign test, exact.

    Args:
        count: How many of the sampled members have it.
        total: How many were sampled, from 0. Of a finite population the test is conservative.
    """
    tail = sum(math.comb(total, number) for number in range(count, total + 1))
    return float(tail / 2**total)


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values of several tests (Holm, A Simple Sequentially Rejective Procedure, 1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    factors = np.arange(len(p), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(np.array(p)[order] * factors), 1)
    return [float(each) for each in corrected]
