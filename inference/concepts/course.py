"""How far work is that goes through several stages."""

from collections.abc import Generator
from typing import TypeVar

from inference.step import Step, retold

_Result = TypeVar("_Result")


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
