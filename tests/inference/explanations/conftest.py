"""What the tests of explanation methods share."""

from inference.explanations.map import Map, RoughMap
from inference.explanations.method import Work


def follow(work: Work) -> tuple[Map, list[RoughMap]]:
    """Return the map that a method computes, and the rough ones before it."""
    rough: list[RoughMap] = []
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            return end.value, rough
        if isinstance(step, RoughMap):
            rough.append(step)
