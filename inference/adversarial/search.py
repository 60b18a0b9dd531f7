"""The search for the smallest size at which something holds, whatever it is."""

import math
from collections.abc import Callable, Generator

Trial = Callable[[float], Generator[None, None, float | None]]
"""Tries a size: returns the size at which it was seen to hold, which may be smaller still than the
one that was asked for; or None. Yields before each part of the work, so that others get a turn."""


def smallest(
    holds: Trial,
    start: float,
    least: float,
    most: float,
    *,
    known: float | None = None,
    stride: float = 2.0,
    ratio: float = 1.1,
) -> Generator[None, None, float | None]:
    """Search by bisection, in the logarithm of the size.

    From `start` it walks up while it does not hold, and down while it does, until it knows a size
    of each kind; then it halves what lies between. Where it holds at one size and not at a larger
    one, what is found holds, but need not be the smallest.

    Args:
        holds: What is asked of each size.
        start: The first size that is tried.
        least: Smaller ones are not tried; above 0.
        most: Larger ones are not tried.
        known: A size at which it is known to hold, if there is one: larger ones are not tried.
        stride: By what each step of the walk multiplies or divides; above 1.
        ratio: How far the smallest size at which it holds may be above a size at which it does
            not; above 1.

    Yields:
        Whenever `holds` does.

    Returns:
        A size at which it was seen to hold; None if there was none up to `most`.
    """
    fails: float | None = None
    above = known
    while True:
        if above is not None and (above <= least or (fails is not None and above <= fails * ratio)):
            return above
        if fails is not None and above is None and fails >= most:
            return None
        size = min(max(_next(start, fails, above, stride), least), most)
        seen = yield from holds(size)
        if seen is None:
            fails = size
        else:
            above = min(seen, size)


def _next(start: float, fails: float | None, above: float | None, stride: float) -> float:
    """The size to try, given the largest that failed and the smallest that held."""
    if fails is None:
        return start if above is None else min(start, above / stride)
    return fails * stride if above is None else math.sqrt(fails * above)
