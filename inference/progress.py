"""Work that takes long, in slices, and how far it is, as whoever waits for it is told.

How far an analysis is, from the time that its parts are known to take.

How far work is that goes through several stages.

What long work on a report tells whoever waits for it.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

_At = TypeVar("_At")

_Told = TypeVar("_Told")

_Result = TypeVar("_Result")

_EVERY_S = 3.0
"""Between lines about the same part."""


@dataclass(frozen=True, slots=True)
class Step:
    """A point on the way."""

    done: float
    """Share of the work, in 0..1; grows with the time that the work takes, as near as is known."""
    doing: str
    """What is done next, for people, in a few words: "Searching for the smallest change"."""


def finish(work: Generator[object, None, _Result]) -> _Result:
    """Do the work to its end."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: _Result = done.value
            return result


def retold(
    work: Generator[_At, None, _Result], tell: Callable[[_At], _Told]
) -> Generator[_Told, None, _Result]:
    """Do the same work, and tell otherwise how far it is."""
    while True:
        try:
            at = next(work)
        except StopIteration as done:
            result: _Result = done.value
            return result
        yield tell(at)


@dataclass(frozen=True, slots=True)
class Part:
    """What is expected of a part of the work."""

    doing: str
    """For people, see `Step.doing`."""
    seconds: float
    """Of one thread; only how they compare with the other parts' matters."""
    slices: float
    """How often it yields."""


class PartProgress:
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


def within(
    begun: float, share: float, work: Generator[float, None, _Result]
) -> Generator[float, None, _Result]:
    """Do a part of other work: what it yields, in 0..1, becomes `begun` and up to `share` more."""
    return retold(work, lambda done: begun + share * done)


class Course:
    """Stages in turn, weighed by what each is expected to cost."""

    def __init__(self, **costs: float) -> None:
        """Take the costs in seconds of all stages, in their order; only their ratios matter."""
        self._costs = costs
        self._passed = 0.0

    def expect(self, stage: str, cost: float) -> None:
        """Lower the cost of a stage to come, so that what is done never seems less than before."""
        self._costs[stage] = min(cost, self._costs[stage])

    def stage(
        self, name: str, doing: str, work: Generator[float, None, _Result]
    ) -> Generator[Step, None, _Result]:
        """Go through a stage, whose work yields what part of it is done."""
        cost = self._costs[name]
        result = yield from retold(work, lambda done: Step(self._share(cost * done), doing))
        self._passed += cost
        return result

    def _share(self, cost: float) -> float:
        """The share of it all that is done when so much of a stage is."""
        return min((self._passed + cost) / sum(self._costs.values()), 1.0)


class ProgressPrinter:
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
    progress: ProgressPrinter,
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


def estimate_left_s(done: float, elapsed_s: float) -> float | None:
    """Estimate how long the rest will take, in seconds; None while nothing is done."""
    return round(elapsed_s * (1 - done) / done, 1) if done > 0 else None
