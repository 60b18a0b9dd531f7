import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path

import pytest_asyncio

from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.history import History, HistorySettings, Wanted
from stream.history.search import MOST_SPANS
from tests.support.events import event

Captions = Broadcast[CaptionEvent]


@pytest_asyncio.fixture
async def captions() -> Captions:
    return Broadcast()


@pytest_asyncio.fixture
async def history(path: Path, captions: Captions) -> AsyncIterator[History]:
    async with kept(path, captions) as history:
        yield history


@asynccontextmanager
async def kept(path: Path, captions: Captions) -> AsyncIterator[History]:
    history = History(HistorySettings(path=path, days=36_500))
    await history.open()
    keeping = asyncio.create_task(history.keep(captions))
    async with asyncio.timeout(10):
        while not len(captions):
            await asyncio.sleep(0)
    yield history
    keeping.cancel()
    await asyncio.wait({keeping})
    await history.close()


async def until_written(history: History, count: int) -> None:
    async with asyncio.timeout(30):
        while history.spans < count:
            await asyncio.sleep(0.005)


async def test_what_is_said_can_be_found(history: History, captions: Captions) -> None:
    captions.publish(event("A dog runs", 0))
    captions.publish(event("A dog runs", 1))
    captions.publish(event("A cat sits", 2))
    await until_written(history, 2)

    (span,) = await history.search(Wanted.of(None, None, None, "dogs"), 10, None)
    assert (span.text, span.captions) == ("A dog runs", 2)
    assert await history.delete(Wanted()) == 2
    assert await history.search(Wanted(), 10, None) == []


async def test_all_is_given_in_order_some_at_a_time(history: History, captions: Captions) -> None:
    count = MOST_SPANS + 100
    for number in range(count):
        captions.publish(event(f"Picture {number}", number))
    await until_written(history, count)

    pages = [[span.text for span in page] async for page in history.all(Wanted())]
    assert [len(page) for page in pages] == [MOST_SPANS, 100]
    assert list(chain(*pages)) == [f"Picture {number}" for number in range(count)]


async def test_what_comes_faster_than_it_can_be_written_is_counted(
    history: History, captions: Captions
) -> None:
    for number in range(2500):
        captions.publish(event(f"Picture {number}", number))

    assert history.dropped == 1500


async def test_it_is_all_there_after_closing_and_opening_again(
    path: Path, history: History, captions: Captions
) -> None:
    captions.publish(event("A dog runs", 0))
    captions.publish(event("A dog runs", 4))
    await until_written(history, 1)
    await history.close()

    again = History(HistorySettings(path=path, days=36_500))
    await again.open()
    (span,) = await again.search(Wanted(), 10, None)
    await again.close()
    assert span.captions == 2


async def test_what_still_waits_when_the_server_ends_is_written(
    path: Path, captions: Captions
) -> None:
    async with kept(path, captions):
        for number in range(300):
            captions.publish(event(f"Picture {number}", number))

    again = History(HistorySettings(path=path, days=36_500))
    await again.open()
    found = [span.text async for page in again.all(Wanted()) for span in page]
    await again.close()
    assert found == [f"Picture {number}" for number in range(300)]
