"""How far an analysis is, from the time that its parts are known to take."""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from inference.step import Step

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Part:
    """What is expected of a part of the work."""

    doing: str
    """For people, see `Step.doing`."""
    seconds: float
    """Of one thread; only how they compare with the other parts' matters."""
    slices: float
    """How often it yields."""


class Progress:
    """Follows the parts of some work, done one after another."""

    took_s: float
    """By the work so far, without what others did between its slices."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        """Expect these parts, by name."""
        self._parts = parts
        self._whole = sum(part.seconds for part in parts.values())
        self._done = self.took_s = 0.0

    def follow(
        self, name: str, work: Generator[None, None, _Result]
    ) -> Generator[Step, None, _Result]:
        """Do a part: yields a step in place of each of its yields, and returns what it returns.

        A part of more slices than expected waits at its end; one of fewer jumps there.
        """
        part = self._parts[name]
        slices = 0
        while True:
            begun = time.perf_counter()
            try:
                next(work)
            except StopIteration as end:
                result: _Result = end.value
                self._done += part.seconds
                return result
            finally:
                self.took_s += time.perf_counter() - begun
            share = min(1.0, slices / max(1.0, part.slices))
            slices += 1
            yield Step((self._done + share * part.seconds) / self._whole, part.doing)
