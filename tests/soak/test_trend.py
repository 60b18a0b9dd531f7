import numpy as np
import pytest

from tests.soak.trend import Trend

HOUR = np.linspace(0, 3600, 720)


def correlated_noise(seed: int) -> np.ndarray:
    """Return samples around 200 without a trend, each correlated with the previous one."""
    noise = np.random.default_rng(seed).normal(0, 1, len(HOUR))
    values = np.zeros(len(HOUR))
    for place in range(1, len(HOUR)):
        values[place] = 0.8 * values[place - 1] + noise[place]
    return 200 + values


def test_noise_is_flat() -> None:
    flat = [Trend.of(HOUR, correlated_noise(seed)).is_flat(0) for seed in range(100)]

    assert np.mean(flat) > 0.9, "a 95 % interval lies above 0 one time in 40"


@pytest.mark.parametrize("leak", [5.0, 20.0, 100.0])
def test_a_leak_is_detected(leak: float) -> None:
    trends = [Trend.of(HOUR, correlated_noise(seed) + leak * HOUR / 3600) for seed in range(20)]

    assert not any(trend.is_flat(1.0) for trend in trends)
    assert np.mean([trend.slope for trend in trends]) == pytest.approx(leak, abs=0.5)
    assert np.mean([trend.low <= leak <= trend.high for trend in trends]) > 0.8


def test_growth_up_to_the_maximum_is_flat() -> None:
    values = 200 + 0.5 * HOUR / 3600

    assert not Trend.of(HOUR, values).is_flat(0.1)
    assert Trend.of(HOUR, values).is_flat(1.0)


def test_a_decrease_is_flat() -> None:
    assert Trend.of(HOUR, correlated_noise(1) - 50 * HOUR / 3600).is_flat(0)


def test_constant_samples_are_flat() -> None:
    assert Trend.of(HOUR, np.full(len(HOUR), 8.0)) == Trend(8.0, 0.0, 0.0, 0.0)


def test_a_trend_needs_three_samples() -> None:
    with pytest.raises(ValueError, match="three"):
        Trend.of([0, 1], [1, 2])
