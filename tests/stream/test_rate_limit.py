"""Tests of rate limits."""

from stream.rate_limit import RateLimit


def test_allows_a_burst_and_then_the_rate() -> None:
    now = 0.0
    limit = RateLimit(10, clock=lambda: now)

    assert sum(limit.take() for _ in range(100)) == 20
    now = 1.0
    assert sum(limit.take() for _ in range(100)) == 10
    now = 1000.0
    assert sum(limit.take() for _ in range(100)) == 20


def test_a_slow_rate_still_allows_one() -> None:
    now = 0.0
    limit = RateLimit(0.1, clock=lambda: now)

    assert [limit.take(), limit.take()] == [True, False]
    now = 10.0
    assert limit.take()
