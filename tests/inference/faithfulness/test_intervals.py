import numpy as np
import pytest

from inference.faithfulness.summary import Interval, mean_interval


def test_the_interval_is_that_of_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)

    interval = mean_interval(values)

    margin = 1.96 * values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - margin, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + margin, abs=0.02)


def test_it_holds_the_true_mean_about_95_times_in_100() -> None:
    random = np.random.default_rng(2)
    intervals = [mean_interval(random.exponential(1, 60), seed) for seed in range(200)]

    assert 0.88 < np.mean([each.low < 1 < each.high for each in intervals]) < 0.99


def test_of_one_value_nothing_more_is_known() -> None:
    assert mean_interval(np.array([0.25])) == Interval(0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("interval", "excludes"),
    [
        (Interval(1, 0.1, 2), True),
        (Interval(-1, -2, -0.1), True),
        (Interval(1, -0.1, 2), False),
        (Interval(0, 0, 0), False),
    ],
)
def test_zero_is_excluded_when_it_is_outside(interval: Interval, excludes: bool) -> None:
    assert interval.excludes_zero is excludes
