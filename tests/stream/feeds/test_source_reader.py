"""Reading a source that may hang at any point."""

import asyncio
import threading
import time
from collections.abc import Iterator

import av
import pytest

from stream.feeds import source_reader as module
from stream.feeds.source_reader import SourceReader
from stream.sources import Source, SourceError, SourceFrame, open_source
from stream.video.frame import Frame
from tests.support.loop_blocking import MAX_BLOCKED_S, measure_loop_blocking


class Stuck(Source):
    """A source that yields one frame and then hangs until released, also in `close`."""

    live, name = True, "stuck"

    def __init__(self) -> None:
        self.released, self.closed = threading.Event(), threading.Event()

    def frames(self) -> Iterator[SourceFrame]:
        """Yield a frame, then hang."""
        yield SourceFrame(av.VideoFrame(64, 48, "yuv420p"), 0.0, time.time())
        self.released.wait()

    def close(self) -> None:
        """Hang."""
        self.released.wait()
        self.closed.set()


async def test_frames_are_delivered_until_it_is_closed() -> None:
    taken: list[Frame] = []
    reader = SourceReader(lambda: open_source("demo"), taken.append, "test")
    async with asyncio.timeout(10):
        while len(taken) < 5:
            await asyncio.sleep(0.01)
    await reader.close()
    assert reader.done.done()
    count = len(taken)
    await asyncio.sleep(0.2)
    assert len(taken) == count


async def test_a_source_that_cannot_be_opened_is_reported() -> None:
    reader = SourceReader(lambda: open_source("/no/such.mp4"), lambda _: None, "test")
    with pytest.raises(SourceError, match="neither an existing file"):
        await reader.done


async def test_a_source_that_hangs_while_opening_blocks_nothing() -> None:
    stuck, responds = Stuck(), threading.Event()

    def open_slowly() -> Source:
        responds.wait()
        return stuck

    reader = SourceReader(open_slowly, lambda _: None, "test")
    async with measure_loop_blocking() as blocking, asyncio.timeout(1):
        await reader.close()
    assert blocking.longest_s < MAX_BLOCKED_S
    # A source that opens after all is closed at once.
    stuck.released.set()
    responds.set()
    await asyncio.wait_for(reader.done, 5)
    assert stuck.closed.is_set()


async def test_a_source_that_hangs_while_reading_and_closing_blocks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.2)
    stuck, taken = Stuck(), asyncio.Event()
    reader = SourceReader(lambda: stuck, lambda _: taken.set(), "test")
    await asyncio.wait_for(taken.wait(), 5)
    async with measure_loop_blocking() as blocking, asyncio.timeout(1.5):
        await reader.close()
    assert blocking.longest_s < MAX_BLOCKED_S
    assert not reader.done.done()
    stuck.released.set()
    await asyncio.wait_for(reader.done, 5)


async def test_a_blocked_event_loop_gets_the_latest_frame() -> None:
    taken: list[float] = []
    reader = SourceReader(lambda: open_source("demo"), lambda f: taken.append(f.captured), "test")
    async with asyncio.timeout(10):
        while not taken:
            await asyncio.sleep(0.01)
    taken.clear()
    time.sleep(0.5)  # noqa: ASYNC251 - blocks the loop on purpose
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(taken) <= 2
    assert reader.replaced >= 5
    await reader.close()
