"""Tests of rate limits and backoff."""

from stream.rate_limit import Backoff, RateLimit


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


def test_delays_double_up_to_the_maximum() -> None:
    backoff = Backoff()
    for expected in (1, 2, 4, 8, 16, 32, 60, 60):
        assert 0.8 * expected <= backoff.next_delay_s() <= 1.2 * expected


def test_a_success_resets_the_delay() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.next_delay_s()
    backoff.reset()
    assert backoff.next_delay_s() <= 1.2


def test_delays_vary_so_that_feeds_do_not_reconnect_together() -> None:
    assert len({Backoff().next_delay_s() for _ in range(20)}) == 20
