"""Progress of long work that is done in slices.

Work is a generator: it yields its progress between slices, so that other work can run in between,
and returns its result.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

_From = TypeVar("_From")
_To = TypeVar("_To")
_Result = TypeVar("_Result")

_PRINT_INTERVAL_S = 3.0
"""Between two lines about the same part."""
_LEAST_DONE = 0.03
"""Share of the work from which the time left is estimated."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the work is done, and what comes next."""

    done: float
    """Share of the work, in 0..1; grows with the time that the work takes, as far as is known."""
    doing: str
    """The next step in a few words, for people: "Searching for the smallest change"."""

    def to_json(self) -> dict[str, Any]:
        """Return the progress as JSON values."""
        return {"done": round(self.done, 4), "doing": self.doing}


ProgressCallback = Callable[[Progress], None]
"""Called with the progress of some work."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage of the work is expected to take."""

    doing: str
    """For people, see `Progress.doing`."""
    seconds: float
    """Of one thread; only the ratio to the other stages matters."""
    slices: float = 1.0
    """How often the stage yields, if it yields None."""


class StagedProgress:
    """Progress of work in stages, one after another, weighted by their expected cost."""

    took_s: float
    """Time that the work has taken so far, without what others did between its slices."""

    def __init__(self, stages: Mapping[str, Stage]) -> None:
        """Expect these stages, by name."""
        self._stages = stages
        self._seconds = {name: stage.seconds for name, stage in stages.items()}
        self._finished_s = self.took_s = 0.0

    def lower_cost(self, name: str, seconds: float) -> None:
        """Lower the cost of a later stage; a higher cost is ignored, so progress never falls."""
        self._seconds[name] = min(seconds, self._seconds[name])

    def run(
        self, name: str, work: Generator[float | None, None, _Result]
    ) -> Generator[Progress, None, _Result]:
        """Do a stage's work, and return its result.

        Args:
            name: The stage.
            work: Yields the share of the stage that is done, in 0..1, or None to count one of the
                expected slices. With more slices than expected progress stays at the stage's end;
                with fewer it jumps there.

        Yields:
            The progress of the whole work, for each yield of `work`.
        """
        stage = self._stages[name]
        slices = 0
        while True:
            begun = time.perf_counter()
            try:
                share = next(work)
            except StopIteration as end:
                result: _Result = end.value
                self._finished_s += self._seconds[name]
                return result
            finally:
                self.took_s += time.perf_counter() - begun
            if share is None:
                share = min(1.0, slices / max(1.0, stage.slices))
                slices += 1
            done_s = self._finished_s + share * self._seconds[name]
            yield Progress(min(1.0, done_s / sum(self._seconds.values())), stage.doing)


class TimeLeft:
    """Estimate of the time that work still takes, from what it took so far. It never rises."""

    def __init__(self) -> None:
        """Start without an estimate."""
        self._least: float | None = None

    def estimate(self, done: float, elapsed_s: float) -> float | None:
        """Return the seconds left; None while too little is done.

        Args:
            done: Share of the work, in 0..1.
            elapsed_s: Seconds that it took.
        """
        if done >= _LEAST_DONE:
            left_s = round(elapsed_s * (1 - done) / done, 1)
            self._least = left_s if self._least is None else min(left_s, self._least)
        return self._least


class ProgressPrinter:
    """Writes lines about the progress of several parts, with an estimate of the time left."""

    def __init__(
        self,
        write: Callable[[str], None],
        parts: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare for some parts.

        Args:
            write: Called with each line.
            parts: How many parts there are.
            clock: Returns seconds.
        """
        self._write, self._parts, self._clock = write, parts, clock
        self._begun = 0
        self._begun_at = self._written_at = 0.0
        self._left = TimeLeft()

    def begin(self, title: str) -> None:
        """Begin the next part."""
        self._begun += 1
        self._begun_at = self._written_at = self._clock()
        self._left = TimeLeft()
        self._write(f"Computing {self._begun} of {self._parts}: {title} ...")

    def update(self, done: float, doing: str = "") -> None:
        """Report the share of the part that is done, in 0..1; writes a line every 3 s at most."""
        now = self._clock()
        left_s = self._left.estimate(done, now - self._begun_at)
        if now - self._written_at < _PRINT_INTERVAL_S or left_s is None:
            return
        self._written_at = now
        what = f": {doing}" if doing else ""
        self._write(f"  {done:.0%} done, about {_duration(left_s)} left{what}")


def finish(work: Generator[object, None, _Result]) -> _Result:
    """Do the work to its end, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _Result = end.value
            return result


def map_progress(
    work: Generator[_From, None, _Result], convert: Callable[[_From], _To]
) -> Generator[_To, None, _Result]:
    """Do the work, with each yielded value converted."""
    while True:
        try:
            at = next(work)
        except StopIteration as end:
            result: _Result = end.value
            return result
        yield convert(at)


def scale_progress(
    start: float, share: float, work: Generator[float, None, _Result]
) -> Generator[float, None, _Result]:
    """Do a part of other work: map its progress from 0..1 to `start`..`start + share`."""
    return map_progress(work, lambda done: start + share * done)


def run_with_progress(
    work: Generator[float | Progress, None, _Result],
    printer: ProgressPrinter,
    start: float = 0.0,
    end: float = 1.0,
) -> _Result:
    """Do the work to its end, report its progress to a printer, and return the result.

    Args:
        work: Yields the share of it that is done, in 0..1, or a `Progress`.
        printer: Its current part contains this work.
        start: The share of the part that is done before this work.
        end: The share that is done after it.
    """

    def report(at: float | Progress) -> None:
        progress = at if isinstance(at, Progress) else Progress(at, "")
        printer.update(start + (end - start) * progress.done, progress.doing)

    return finish(map_progress(work, report))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
