import math
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.adversarial.threshold_search import find_smallest
from inference.progress import finish

LEAST, MOST = 0.01, 100.0


class Threshold:
    """A condition that holds from a threshold on, and up to a limit."""

    def __init__(self, threshold: float, until: float = math.inf) -> None:
        self.threshold, self.until = threshold, until
        self.tried: list[float] = []

    def trial(self, size: float) -> Generator[None, None, float | None]:
        """Return the size if the condition holds."""
        yield
        self.tried.append(size)
        return size if self.threshold <= size <= self.until else None


@given(
    threshold=st.floats(LEAST * 1.01, MOST * 0.99),
    start=st.floats(LEAST / 10, MOST * 10),
    ratio=st.sampled_from([1.02, 1.1, 1.5]),
)
def test_threshold_is_found_from_any_start(threshold: float, start: float, ratio: float) -> None:
    condition = Threshold(threshold)

    found = finish(find_smallest(condition.trial, start, LEAST, MOST, ratio=ratio))

    assert found is not None
    assert threshold <= found <= threshold * ratio * (1 + 1e-9)
    assert all(LEAST <= size <= MOST for size in condition.tried)
    assert len(condition.tried) == len(set(condition.tried)) < 30


def test_known_size_is_not_tried_again() -> None:
    condition = Threshold(3.0)

    found = finish(find_smallest(condition.trial, 50.0, LEAST, MOST, known=4.0))

    assert found is not None and 3.0 <= found <= 3.3
    assert max(condition.tried) < 4.0


def test_nothing_is_found_if_no_size_holds() -> None:
    condition = Threshold(2 * MOST)

    assert finish(find_smallest(condition.trial, 1.0, LEAST, MOST)) is None
    assert condition.tried[-1] == MOST


def test_smallest_size_is_found_if_all_sizes_hold() -> None:
    assert finish(find_smallest(Threshold(0.0).trial, 1.0, LEAST, MOST)) == LEAST


def test_smaller_observed_size_is_used() -> None:
    def observes_less(size: float) -> Generator[None, None, float | None]:
        yield
        return size / 5 if size >= 2 else None

    assert finish(find_smallest(observes_less, 2.0, LEAST, MOST)) == pytest.approx(0.4, rel=0.3)


def test_search_ends_if_trials_observe_slightly_more() -> None:
    def observes_more(size: float) -> Generator[None, None, float | None]:
        yield
        return size * (1 + 1e-6)

    assert finish(find_smallest(observes_more, 1.0, LEAST, MOST)) == LEAST


def test_result_holds_if_the_condition_is_not_monotonic() -> None:
    condition = Threshold(1.0, until=3.0)

    found = finish(find_smallest(condition.trial, 0.1, LEAST, MOST))

    assert found is not None and 1.0 <= found <= 1.1


def test_search_yields_before_each_trial() -> None:
    condition = Threshold(1.0)
    search = find_smallest(condition.trial, 0.5, LEAST, MOST)

    for turn, _ in enumerate(search):
        assert len(condition.tried) == turn
