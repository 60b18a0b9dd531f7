"""Tests of in-process publish/subscribe."""

import asyncio

import pytest

from stream.broadcast import Broadcast


def test_subscribers_receive_events_until_they_unsubscribe() -> None:
    broadcast: Broadcast[int] = Broadcast()
    one: list[int] = []
    two: list[int] = []
    unsubscribe = broadcast.subscribe(one.append)
    broadcast.publish(1)
    broadcast.subscribe(two.append)
    broadcast.publish(2)
    unsubscribe()
    unsubscribe()
    broadcast.publish(3)

    assert (one, two, len(broadcast)) == ([1, 2], [2, 3], 1)


def test_a_failing_subscriber_does_not_affect_others(caplog: pytest.LogCaptureFixture) -> None:
    broadcast: Broadcast[int] = Broadcast()
    received: list[int] = []

    def fail(event: int) -> None:
        raise OSError(f"no room for {event}")

    broadcast.subscribe(fail)
    broadcast.subscribe(received.append)
    broadcast.publish(7)

    assert received == [7]
    assert "no room for 7" in caplog.text


async def test_a_slow_reader_loses_the_oldest_events_and_blocks_nobody() -> None:
    broadcast: Broadcast[int] = Broadcast()
    with broadcast.queue(3) as slow, broadcast.queue(100) as fast:
        for event in range(10):
            broadcast.publish(event)

        assert [await anext(fast) for _ in range(10)] == list(range(10))
        assert [await anext(slow) for _ in range(3)] == [7, 8, 9]
        assert (slow.dropped, fast.dropped) == (7, 0)
    assert len(broadcast) == 0


async def test_a_reader_waits_for_the_next_event() -> None:
    broadcast: Broadcast[str] = Broadcast()
    with broadcast.queue(1) as events:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.01)
        asyncio.get_running_loop().call_soon(broadcast.publish, "here")
        assert await asyncio.wait_for(anext(events), 1) == "here"


async def test_queued_events_can_be_taken_without_waiting() -> None:
    broadcast: Broadcast[int] = Broadcast()
    with broadcast.queue(3) as events:
        for event in range(5):
            broadcast.publish(event)

        assert events.take_all() == [2, 3, 4]
        assert events.take_all() == []
        broadcast.publish(5)
        assert await anext(events) == 5
