"""Recording and searching through the asynchronous interface."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path

import pytest
import pytest_asyncio

from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.history import History, HistoryQuery, HistorySettings
from stream.history.reader import MAX_SPANS
from tests.support.captions import caption_event

Captions = Broadcast[CaptionEvent]


OpenHistory = Callable[[], History]


@pytest.fixture(params=["sqlite", "postgres"])
def open_history(request: pytest.FixtureRequest, path: Path) -> OpenHistory:
    """A function that creates the history of an empty database."""
    settings = HistorySettings(path=path, days=36_500)
    is_file = request.param == "sqlite"
    url = None if is_file else request.getfixturevalue("history_url")
    return lambda: History(settings, url)


@pytest_asyncio.fixture
async def captions() -> Captions:
    return Broadcast()


@pytest_asyncio.fixture
async def history(open_history: OpenHistory, captions: Captions) -> AsyncIterator[History]:
    async with recording(open_history, captions) as history:
        yield history


@asynccontextmanager
async def recording(open_history: OpenHistory, captions: Captions) -> AsyncIterator[History]:
    history = open_history()
    await history.open()
    task = asyncio.create_task(history.record(captions))
    async with asyncio.timeout(10):
        while not len(captions):
            await asyncio.sleep(0)
    yield history
    task.cancel()
    await asyncio.wait({task})
    await history.close()


async def until_written(history: History, count: int) -> None:
    async with asyncio.timeout(30):
        while history.spans < count:
            await asyncio.sleep(0.005)


async def test_captions_can_be_found_and_deleted(history: History, captions: Captions) -> None:
    captions.publish(caption_event("A dog runs", 0))
    captions.publish(caption_event("A dog runs", 1))
    captions.publish(caption_event("A cat sits", 2))
    await until_written(history, 2)

    (span,) = await history.search(HistoryQuery.parse(None, None, None, "dogs"), 10, None)
    assert (span.text, span.captions) == ("A dog runs", 2)
    assert await history.delete(HistoryQuery()) == 2
    assert await history.search(HistoryQuery(), 10, None) == []


async def test_pages_contain_all_spans_in_order(history: History, captions: Captions) -> None:
    count = MAX_SPANS + 100
    for number in range(count):
        captions.publish(caption_event(f"Frame {number}", number))
    await until_written(history, count)

    pages = [[span.text for span in page] async for page in history.pages(HistoryQuery())]
    assert [len(page) for page in pages] == [MAX_SPANS, 100]
    assert list(chain(*pages)) == [f"Frame {number}" for number in range(count)]


async def test_captions_that_overflow_the_queue_are_counted(
    history: History, captions: Captions
) -> None:
    for number in range(2500):
        captions.publish(caption_event(f"Frame {number}", number))

    assert history.dropped == 1500


async def test_spans_persist_after_closing(
    open_history: OpenHistory, history: History, captions: Captions
) -> None:
    captions.publish(caption_event("A dog runs", 0))
    captions.publish(caption_event("A dog runs", 4))
    await until_written(history, 1)
    await history.close()

    again = open_history()
    await again.open()
    (span,) = await again.search(HistoryQuery(), 10, None)
    await again.close()
    assert span.captions == 2


async def test_queued_captions_are_written_when_the_server_stops(
    open_history: OpenHistory, captions: Captions
) -> None:
    async with recording(open_history, captions):
        for number in range(300):
            captions.publish(caption_event(f"Frame {number}", number))

    again = open_history()
    await again.open()
    found = [span.text async for page in again.pages(HistoryQuery()) for span in page]
    await again.close()
    assert found == [f"Frame {number}" for number in range(300)]
