"""Keeping pictures beside the captions that are recorded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.broadcast import Broadcast
from stream.captioning import CaptionEvent, FrameNotFound
from stream.history import History, HistoryQuery, HistorySettings, KeptPicture, Span
from stream.history.pictures import MAX_WAITING
from tests.support.captions import BASE_TIME, caption_event


class Source:
    """A source of pictures that a test can stop, and make fail."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.problem: Exception | None = None
        self.read_seqs: list[int] = []

    def offers(self, event: CaptionEvent) -> bool:
        """Offer pictures of all streams but one."""
        return event.stream != "session"

    async def read(self, event: CaptionEvent) -> bytes:
        """Return bytes that name the caption."""
        self.read_seqs.append(event.seq)
        await self.goes_on.wait()
        if self.problem:
            raise self.problem
        return b"image %d" % event.seq


class Recording:
    """A history that records the captions that a test publishes."""

    def __init__(self, history: History, source: Source) -> None:
        self.history, self.source = history, source
        self.captions: Broadcast[CaptionEvent] = Broadcast()
        self.seq = 0

    async def publish(self, text: str, stream: str = "yard") -> None:
        """Publish a caption, and wait until it is recorded."""
        event = caption_event(text, 2 * self.seq, stream, self.seq)
        self.seq += 1
        self.captions.publish(event)
        await asyncio.sleep(0.02)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)

    async def pictures(self) -> dict[str, bytes]:
        """Return the stored pictures by the text of their span."""
        spans: list[Span] = await self.history.search(HistoryQuery(), 500, None)
        found = {}
        for span in spans:
            if picture := await self.history.picture(span.id):
                found[span.text] = picture.image
        return found


@asynccontextmanager
async def recording(path: Path, pictures: str = "changes") -> AsyncIterator[Recording]:
    values = {"path": path, "days": 36_500, "pictures": pictures, "pictures_days": 36_500}
    history = History(HistorySettings.model_validate(values))
    await history.open()
    record = Recording(history, Source())
    task = asyncio.create_task(history.record(record.captions, record.source))
    await record.until(lambda: len(record.captions) > 0)
    yield record
    task.cancel()
    await asyncio.wait({task})
    await history.close()


async def test_each_new_span_gets_the_picture_of_its_first_caption(path: Path) -> None:
    async with recording(path) as record:
        published: list[KeptPicture] = []
        keeper = record.history.pictures
        keeper.stored.subscribe(lambda kept: published.append(kept))
        for text in ("A dog runs", "A dog runs", "A cat sleeps"):
            await record.publish(text)
        await record.until(lambda: keeper.kept == 2)

        assert await record.pictures() == {"A dog runs": b"image 0", "A cat sleeps": b"image 2"}
        assert record.source.read_seqs == [0, 2]
        assert [(each.said, each.feed) for each in published] == [
            ("A dog runs", "yard"),
            ("A cat sleeps", "yard"),
        ]
        assert keeper.lost == 0


async def test_off_reads_no_picture(path: Path) -> None:
    async with recording(path, pictures="off") as record:
        await record.publish("A dog runs")
        await record.until(lambda: record.history.spans == 1)

        assert record.source.read_seqs == [] and await record.pictures() == {}


async def test_streams_that_are_not_offered_have_no_picture(path: Path) -> None:
    async with recording(path) as record:
        await record.publish("A visitor waves", "session")
        await record.publish("A dog runs")
        await record.until(lambda: record.history.pictures.kept == 1)

        assert list(await record.pictures()) == ["A dog runs"]
        assert record.source.read_seqs == [1]


async def test_captions_do_not_wait_for_pictures_and_what_is_too_much_is_counted(
    path: Path,
) -> None:
    async with recording(path) as record:
        record.source.goes_on.clear()
        count, reading = MAX_WAITING + 40, 4
        for number in range(count):
            record.captions.publish(caption_event(f"Frame {number}", 2 * number, seq=number))
        await record.until(lambda: record.history.spans == count)
        assert record.history.dropped == record.history.lost == 0

        record.source.goes_on.set()
        keeper = record.history.pictures
        await record.until(lambda: keeper.kept + keeper.lost == count)
        # The newest had no place.
        assert keeper.lost == count - MAX_WAITING - reading
        assert f"Frame {count - 1}" not in await record.pictures()


@pytest.mark.parametrize("problem", [FrameNotFound("gone"), RuntimeError("a fault")])
async def test_a_picture_that_cannot_be_read_is_counted_and_the_next_one_is_stored(
    path: Path, problem: Exception
) -> None:
    async with recording(path) as record:
        record.source.problem = problem
        await record.publish("A dog runs")
        await record.until(lambda: record.history.pictures.lost == 1)
        record.source.problem = None
        await record.publish("A cat sleeps")
        await record.until(lambda: record.history.pictures.kept == 1)

        assert list(await record.pictures()) == ["A cat sleeps"]
        assert record.history.spans == 2


async def test_only_wanted_captions_have_a_picture_if_rules_decide(path: Path) -> None:
    async with recording(path, pictures="rules") as record:
        for text in ("A cat sleeps", "A dog runs", "A dog runs"):
            await record.publish(text)
        # As when a rule fires on a caption that is published, and not written yet.
        record.history.keep_picture("yard", BASE_TIME + 6)
        for text in ("A dog runs", "A dog runs", "A bus stops"):
            await record.publish(text)
        await record.until(lambda: record.history.pictures.kept == 1)

        assert await record.pictures() == {"A dog runs": b"image 3"}
        assert record.source.read_seqs == [3]


async def test_streams_that_are_gone_take_no_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.history.history._MAX_WANTED", 2)
    async with recording(path, pictures="rules") as record:
        for stream in ("session-1", "session-2", "yard"):
            record.history.keep_picture(stream, BASE_TIME)
        await record.publish("A dog runs")
        await record.until(lambda: record.history.pictures.kept == 1)
