import numpy as np
import pytest

from tests.soak.trend import Trend

HOUR = np.linspace(0, 3600, 720)


def wandering(seed: int) -> np.ndarray:
    """What a process holds that keeps nothing: it wanders about, each sample like the last."""
    noise = np.random.default_rng(seed).normal(0, 1, len(HOUR))
    values = np.zeros(len(HOUR))
    for place in range(1, len(HOUR)):
        values[place] = 0.8 * values[place - 1] + noise[place]
    return 200 + values


def test_what_only_wanders_is_flat() -> None:
    flat = [Trend.of(HOUR, wandering(seed)).is_flat(0) for seed in range(100)]

    assert np.mean(flat) > 0.9, "an interval of 95 % leaves out 0, above it, one time in 40"


@pytest.mark.parametrize("leak", [5.0, 20.0, 100.0])
def test_a_leak_is_found(leak: float) -> None:
    trends = [Trend.of(HOUR, wandering(seed) + leak * HOUR / 3600) for seed in range(20)]

    assert not any(trend.is_flat(1.0) for trend in trends)
    assert np.mean([trend.slope for trend in trends]) == pytest.approx(leak, abs=0.5)
    assert np.mean([trend.low <= leak <= trend.high for trend in trends]) > 0.8


def test_what_grows_by_less_than_matters_is_flat() -> None:
    values = 200 + 0.5 * HOUR / 3600

    assert not Trend.of(HOUR, values).is_flat(0.1)
    assert Trend.of(HOUR, values).is_flat(1.0)


def test_what_shrinks_is_flat() -> None:
    assert Trend.of(HOUR, wandering(1) - 50 * HOUR / 3600).is_flat(0)


def test_what_never_changes_is_flat() -> None:
    assert Trend.of(HOUR, np.full(len(HOUR), 8.0)) == Trend(8.0, 0.0, 0.0, 0.0)


def test_a_trend_needs_samples() -> None:
    with pytest.raises(ValueError, match="three"):
        Trend.of([0, 1], [1, 2])
