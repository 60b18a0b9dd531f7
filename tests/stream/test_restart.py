"""Tests of trying again."""

import asyncio

import pytest

from stream.restart import Backoff, restart_on_failure


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


async def test_a_service_that_fails_is_logged_and_restarted_until_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starts = 0

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise ValueError("broken")

    async with asyncio.timeout(5):
        await restart_on_failure("the feed yard", work, Backoff(0.01, 0.02))

    assert starts == 3
    assert [each.message for each in caplog.records] == [
        "the feed yard failed; it restarts in 0 s"
    ] * 2
    assert caplog.records[0].exc_info


async def test_a_service_that_ran_for_long_restarts_soon() -> None:
    delays: list[float] = []

    class Recording(Backoff):
        def next_delay_s(self) -> float:
            delays.append(super().next_delay_s())
            return 0.0

    async def work() -> None:
        await asyncio.sleep(0.03 if len(delays) == 3 else 0)
        if len(delays) == 4:
            return
        raise ValueError("broken")

    async with asyncio.timeout(5):
        await restart_on_failure("it", work, Recording(0.001, 0.02))

    assert delays[3] < delays[2]
