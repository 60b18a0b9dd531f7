"""How far work is that goes through several stages."""

from collections.abc import Generator
from typing import TypeVar

from inference.step import Step

_Result = TypeVar("_Result")


def within(
    begun: float, share: float, work: Generator[float, None, _Result]
) -> Generator[float, None, _Result]:
    """Do a part of other work: what it yields, in 0..1, becomes `begun` and up to `share` more."""
    while True:
        try:
            done = next(work)
        except StopIteration as end:
            result: _Result = end.value
            return result
        yield begun + share * done


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
        while True:
            try:
                done = next(work)
            except StopIteration as end:
                self._passed += cost
                result: _Result = end.value
                return result
            yield Step(min((self._passed + cost * done) / sum(self._costs.values()), 1.0), doing)
