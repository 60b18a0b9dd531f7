"""What long work on a report tells whoever waits for it."""

import time
from collections.abc import Callable, Generator
from typing import TypeVar

from inference.step import Step, finish, retold

_Result = TypeVar("_Result")

_EVERY_S = 3.0
"""Between lines about the same part."""


class Progress:
    """Says which part is worked on, how much of it is done, and about how long it still takes."""

    def __init__(
        self,
        tell: Callable[[str], None],
        parts: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare for some parts.

        Args:
            tell: Told each line.
            parts: How many there are.
            clock: Tells seconds.
        """
        self._tell, self._parts, self._clock = tell, parts, clock
        self._begun = 0
        self._since = self._told = 0.0

    def begin(self, title: str) -> None:
        """Begin the next part."""
        self._begun += 1
        self._since = self._told = self._clock()
        self._tell(f"Computing {self._begun} of {self._parts}: {title} ...")

    def at(self, done: float, doing: str = "") -> None:
        """Tell how much of the part is done, in 0..1; only now and then is a line written."""
        now = self._clock()
        if now - self._told < _EVERY_S or done <= 0:
            return
        self._told = now
        left = (now - self._since) * (1 - done) / done
        what = f": {doing}" if doing else ""
        self._tell(f"  {done:.0%} done, about {_duration(left)} left{what}")


def followed(
    work: Generator[float | Step, None, _Result],
    progress: Progress,
    first: float = 0.0,
    last: float = 1.0,
) -> _Result:
    """Do work to its end, and tell how far it is.

    Args:
        work: Yields how much of it is done.
        progress: Told it.
        first: The share of the part that was done before this work.
        last: The share that is done with it.
    """

    def tell(at: float | Step) -> None:
        step = at if isinstance(at, Step) else Step(at, "")
        progress.at(first + (last - first) * step.done, step.doing)

    return finish(retold(work, tell))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
