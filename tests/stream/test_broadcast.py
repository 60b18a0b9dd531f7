"""Events to many."""

import asyncio

import pytest

from stream.broadcast import Broadcast


def test_everyone_who_listens_is_told_until_they_do_not() -> None:
    broadcast: Broadcast[int] = Broadcast()
    one: list[int] = []
    two: list[int] = []
    unlisten = broadcast.listen(one.append)
    broadcast.publish(1)
    broadcast.listen(two.append)
    broadcast.publish(2)
    unlisten()
    unlisten()
    broadcast.publish(3)

    assert (one, two, len(broadcast)) == ([1, 2], [2, 3], 1)


def test_one_that_fails_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broadcast: Broadcast[int] = Broadcast()
    heard: list[int] = []

    def fail(event: int) -> None:
        raise OSError(f"no room for {event}")

    broadcast.listen(fail)
    broadcast.listen(heard.append)
    broadcast.publish(7)

    assert heard == [7]
    assert "no room for 7" in caplog.text


async def test_a_slow_reader_loses_the_oldest_and_holds_up_nobody() -> None:
    broadcast: Broadcast[int] = Broadcast()
    with broadcast.subscribe(3) as slow, broadcast.subscribe(100) as quick:
        for event in range(10):
            broadcast.publish(event)

        assert [await anext(quick) for _ in range(10)] == list(range(10))
        assert [await anext(slow) for _ in range(3)] == [7, 8, 9]
        assert (slow.missed, quick.missed) == (7, 0)
    assert len(broadcast) == 0


async def test_a_reader_waits_for_what_comes() -> None:
    broadcast: Broadcast[str] = Broadcast()
    with broadcast.subscribe(1) as events:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.01)
        asyncio.get_running_loop().call_soon(broadcast.publish, "here")
        assert await asyncio.wait_for(anext(events), 1) == "here"


async def test_what_waits_can_be_taken_at_once() -> None:
    broadcast: Broadcast[int] = Broadcast()
    with broadcast.subscribe(3) as events:
        for event in range(5):
            broadcast.publish(event)

        assert events.take() == [2, 3, 4]
        assert events.take() == []
        broadcast.publish(5)
        assert await anext(events) == 5
