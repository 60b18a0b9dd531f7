import numpy as np
import pytest
from scipy.stats import binomtest

from inference.significance import holm, lowest_rank_p, majority_p


def test_holm_correction() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


def test_the_rank_test_rejects_exactly_as_often_as_it_says() -> None:
    # Any of the values can be the own one, with the same probability.
    values = np.array([0.3, 0.1, 0.9, 0.4, 0.2])
    p = [lowest_rank_p(values[own], np.delete(values, own)) for own in range(5)]

    assert sorted(p) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert p[1] == 0.2
    assert lowest_rank_p(1.0, np.array([1.0, 1.0, 2.0])) == 0.75
    assert lowest_rank_p(1.0, np.array([])) == 1


@pytest.mark.parametrize("total", [40, 161])
@pytest.mark.parametrize("count", [0, 1, 20, 40])
def test_the_sign_test_is_binomial(count: int, total: int) -> None:
    expected = binomtest(count, total, 0.5, alternative="greater").pvalue

    assert majority_p(count, total) == pytest.approx(float(expected))
