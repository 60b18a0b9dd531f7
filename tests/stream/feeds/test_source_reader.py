"""One connection to a source that may hang anywhere."""

import asyncio
import threading
import time
from collections.abc import Iterator

import av
import pytest

from stream.feeds import reception as module
from stream.feeds.reception import Reception
from stream.sources import Source, SourceError, SourceFrame, open_source
from stream.video.frame import Frame
from tests.support.loop_pauses import HELD_UP_S, loop_pauses


class Stuck(Source):
    """Gives one picture, and hangs until it is let go, in closing too."""

    live, name = True, "stuck"

    def __init__(self) -> None:
        self.let_go, self.closed = threading.Event(), threading.Event()

    def frames(self) -> Iterator[SourceFrame]:
        """Give a picture, then hang."""
        yield SourceFrame(av.VideoFrame(64, 48, "yuv420p"), 0.0, time.time())
        self.let_go.wait()

    def close(self) -> None:
        """Hang."""
        self.let_go.wait()
        self.closed.set()


async def test_pictures_come_until_it_is_closed() -> None:
    taken: list[Frame] = []
    reception = Reception(lambda: open_source("demo"), taken.append, "test")
    async with asyncio.timeout(10):
        while len(taken) < 5:
            await asyncio.sleep(0.01)
    await reception.close()
    assert reception.over.done()
    count = len(taken)
    await asyncio.sleep(0.2)
    assert len(taken) == count


async def test_a_source_that_cannot_be_opened_is_told() -> None:
    reception = Reception(lambda: open_source("/no/such.mp4"), lambda _: None, "test")
    with pytest.raises(SourceError, match="there is no"):
        await reception.over


async def test_a_source_that_hangs_while_it_is_opened_holds_up_nobody() -> None:
    stuck, answers = Stuck(), threading.Event()

    def open_slowly() -> Source:
        answers.wait()
        return stuck

    reception = Reception(open_slowly, lambda _: None, "test")
    async with loop_pauses() as pauses, asyncio.timeout(1):
        await reception.close()
    assert pauses.longest_s < HELD_UP_S
    # What comes after all is closed at once.
    stuck.let_go.set()
    answers.set()
    await asyncio.wait_for(reception.over, 5)
    assert stuck.closed.is_set()


async def test_a_source_that_hangs_in_reading_and_closing_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.2)
    stuck, taken = Stuck(), asyncio.Event()
    reception = Reception(lambda: stuck, lambda _: taken.set(), "test")
    await asyncio.wait_for(taken.wait(), 5)
    async with loop_pauses() as pauses, asyncio.timeout(1.5):
        await reception.close()
    assert pauses.longest_s < HELD_UP_S
    assert not reception.over.done()
    stuck.let_go.set()
    await asyncio.wait_for(reception.over, 5)


async def test_a_loop_that_has_no_time_gets_the_newest_picture() -> None:
    taken: list[float] = []
    reception = Reception(lambda: open_source("demo"), lambda f: taken.append(f.captured), "test")
    async with asyncio.timeout(10):
        while not taken:
            await asyncio.sleep(0.01)
    taken.clear()
    time.sleep(0.5)  # noqa: ASYNC251 - the loop is to have no time
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(taken) <= 2
    assert reception.replaced >= 5
    await reception.close()
