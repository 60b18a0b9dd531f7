"""Tests of the explanation budget: how often maps are computed, by their cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.captioning.live_maps import ExplanationBudget, MapIntervals


def measured_budget(
    share: float, word_maps_ms: float = 0.0, saliency_ms: float = 0.0
) -> ExplanationBudget:
    budget = ExplanationBudget(share)
    budget.word_map_cost.measure(word_maps_ms)
    budget.saliency_cost.measure(saliency_ms)
    return budget


@pytest.mark.parametrize(
    ("word_maps_ms", "saliency_ms", "expected"),
    [
        (5, 70, MapIntervals(1, 1)),
        (50, 200, MapIntervals(1, 1)),
        (50, 201, MapIntervals(1, 2)),
        (50, 2000, MapIntervals(1, 10)),
        # Saliency takes 201 of 250 ms per caption even at its rarest: word maps get rarer too.
        (50, 2010, MapIntervals(2, 10)),
        (200, 1000, MapIntervals(2, 10)),
        (260, 0, MapIntervals(2, 10)),
        # Not even one in ten of each is affordable.
        (2000, 2000, MapIntervals(16, 16)),
        (100_000, 100_000, MapIntervals(100, 100)),
    ],
)
def test_saliency_gets_rarer_first_and_then_word_maps(
    word_maps_ms: float, saliency_ms: float, expected: MapIntervals
) -> None:
    budget = measured_budget(0.25, word_maps_ms, saliency_ms)

    assert budget.intervals(1.0, word_maps=True, saliency=True) == expected


@given(
    st.floats(0, 5000), st.floats(0, 5000), st.floats(0.01, 1), st.floats(0.25, 10), st.booleans()
)
def test_the_share_is_not_exceeded(
    word_maps_ms: float, saliency_ms: float, share: float, interval_s: float, both: bool
) -> None:
    budget = measured_budget(share, word_maps_ms, saliency_ms)
    intervals = budget.intervals(interval_s, word_maps=True, saliency=both)

    spent = word_maps_ms / intervals.word_maps + (saliency_ms / intervals.saliency if both else 0)
    allowed = 1e3 * interval_s * share
    assert spent <= allowed * 1.0001 or intervals.word_maps == 100


@given(st.floats(0, 5000), st.floats(0, 5000), st.floats(0.25, 10))
def test_a_longer_interval_never_means_rarer_maps(
    word_maps_ms: float, saliency_ms: float, interval_s: float
) -> None:
    budget = measured_budget(0.25, word_maps_ms, saliency_ms)
    shorter = budget.intervals(interval_s, word_maps=True, saliency=True)
    longer = budget.intervals(2 * interval_s, word_maps=True, saliency=True)

    assert longer.word_maps <= shorter.word_maps
    assert longer.saliency <= shorter.saliency


def test_unused_maps_are_never_computed_and_cost_nothing() -> None:
    budget = measured_budget(0.25, 100, 900)

    assert budget.intervals(1.0, word_maps=False, saliency=False) == MapIntervals(0, 0)
    assert budget.intervals(1.0, word_maps=True, saliency=False) == MapIntervals(1, 0)
    assert budget.intervals(1.0, word_maps=False, saliency=True) == MapIntervals(0, 4)


def test_without_a_share_nothing_is_computed() -> None:
    assert ExplanationBudget(0).intervals(1.0, word_maps=True, saliency=True) == MapIntervals(0, 0)


def test_maps_are_computed_until_their_cost_is_known() -> None:
    assert ExplanationBudget(0.1).intervals(1.0, word_maps=True, saliency=True) == MapIntervals(
        1, 1
    )


def test_an_outlier_changes_nothing_and_a_lasting_cost_does() -> None:
    budget = ExplanationBudget(0.25)
    for ms in (100, 3000, 100, 110):
        budget.saliency_cost.measure(ms)
    assert budget.intervals(1.0, word_maps=True, saliency=True) == MapIntervals(1, 1)
    for ms in (900, 900, 900):
        budget.saliency_cost.measure(ms)
    assert budget.intervals(1.0, word_maps=True, saliency=True) == MapIntervals(1, 4)
    for ms in (100, 100, 100):
        budget.saliency_cost.measure(ms)
    assert budget.intervals(1.0, word_maps=True, saliency=True) == MapIntervals(1, 1)
