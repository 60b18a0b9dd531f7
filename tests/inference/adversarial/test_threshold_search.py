import math
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.adversarial.attack import smallest
from inference.progress import finish

LEAST, MOST = 0.01, 100.0


class Planted:
    """Holds from a threshold on, up to another one."""

    def __init__(self, threshold: float, until: float = math.inf) -> None:
        self.threshold, self.until = threshold, until
        self.tried: list[float] = []

    def trial(self, size: float) -> Generator[None, None, float | None]:
        """Tell whether it holds."""
        yield
        self.tried.append(size)
        return size if self.threshold <= size <= self.until else None


@given(
    threshold=st.floats(LEAST * 1.01, MOST * 0.99),
    start=st.floats(LEAST / 10, MOST * 10),
    ratio=st.sampled_from([1.02, 1.1, 1.5]),
)
def test_a_planted_threshold_is_found_from_wherever_the_search_starts(
    threshold: float, start: float, ratio: float
) -> None:
    planted = Planted(threshold)

    found = finish(smallest(planted.trial, start, LEAST, MOST, ratio=ratio))

    assert found is not None
    assert threshold <= found <= threshold * ratio * (1 + 1e-9)
    assert all(LEAST <= size <= MOST for size in planted.tried)
    assert len(planted.tried) == len(set(planted.tried)) < 30


def test_what_is_known_to_hold_is_not_tried_again() -> None:
    planted = Planted(3.0)

    found = finish(smallest(planted.trial, 50.0, LEAST, MOST, known=4.0))

    assert found is not None and 3.0 <= found <= 3.3
    assert max(planted.tried) < 4.0


def test_where_nothing_holds_nothing_is_found() -> None:
    planted = Planted(2 * MOST)

    assert finish(smallest(planted.trial, 1.0, LEAST, MOST)) is None
    assert planted.tried[-1] == MOST


def test_what_holds_everywhere_is_as_small_as_is_tried() -> None:
    assert finish(smallest(Planted(0.0).trial, 1.0, LEAST, MOST)) == LEAST


def test_what_a_trial_saw_below_is_taken() -> None:
    def sees_less(size: float) -> Generator[None, None, float | None]:
        yield
        return size / 5 if size >= 2 else None

    assert finish(smallest(sees_less, 2.0, LEAST, MOST)) == pytest.approx(0.4, rel=0.3)


def test_a_trial_that_measures_a_little_more_than_was_asked_for_ends_too() -> None:
    def rounds(size: float) -> Generator[None, None, float | None]:
        yield
        return size * (1 + 1e-6)

    assert finish(smallest(rounds, 1.0, LEAST, MOST)) == LEAST


def test_where_it_holds_at_some_sizes_only_what_is_found_holds() -> None:
    planted = Planted(1.0, until=3.0)

    found = finish(smallest(planted.trial, 0.1, LEAST, MOST))

    assert found is not None and 1.0 <= found <= 1.1


def test_others_get_a_turn_before_each_trial() -> None:
    planted = Planted(1.0)
    search = smallest(planted.trial, 0.5, LEAST, MOST)

    for turn, _ in enumerate(search):
        assert len(planted.tried) == turn
