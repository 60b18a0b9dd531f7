"""A search for the smallest size at which a condition holds."""

import math
from collections.abc import Callable, Generator

Trial = Callable[[float], Generator[None, None, float | None]]
"""Tests a size. Returns the size at which the condition was observed to hold, which may be smaller
than the one that was tested, or None. Yields before each part of the work, so that other work can
run in between."""


def find_smallest(
    trial: Trial,
    start: float,
    least: float,
    most: float,
    *,
    known: float | None = None,
    stride: float = 2.0,
    ratio: float = 1.1,
) -> Generator[None, None, float | None]:
    """Search by bisection in the logarithm of the size.

    From `start`, the search moves up while the condition fails and down while it holds, until it
    has one size of each kind; then it bisects the interval between them. If the condition holds at
    one size and fails at a larger one, the result does hold, but need not be the smallest.

    Args:
        trial: Tests one size.
        start: First size to test.
        least: Smallest size to test, above 0.
        most: Largest size to test.
        known: A size at which the condition is known to hold, if any; larger ones are not tested.
        stride: Factor between successive sizes before the bisection starts, above 1; on the way
            down its square is the next one.
        ratio: Stop when the smallest size that holds divided by the largest one that fails is at
            most this; above 1.

    Yields:
        Whenever `trial` does.

    Returns:
        A size at which the condition was observed to hold; None if there is none up to `most`.
    """
    down = stride
    enough = ratio * (1 + 1e-9)
    fails: float | None = None
    holds = known
    while True:
        if holds is not None and (
            holds <= least or (fails is not None and holds <= fails * enough)
        ):
            return holds
        if fails is not None and holds is None and fails >= most:
            return None
        factor = stride if holds is None else down
        size = min(max(_next_size(start, fails, holds, factor), least), most)
        observed = yield from trial(size)
        if observed is None:
            fails = size
        else:
            # Faster and faster down, but not up, past sizes at which alone the condition may hold.
            down *= down if holds is not None else 1
            holds = min(observed, size)


def _next_size(start: float, fails: float | None, holds: float | None, stride: float) -> float:
    """Choose the next size from the largest that failed and the smallest that held."""
    if fails is None:
        return start if holds is None else min(start, holds / stride)
    return fails * stride if holds is None else math.sqrt(fails * holds)
