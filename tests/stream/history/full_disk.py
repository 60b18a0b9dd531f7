"""Record to a history on a full disk; run with its path, prints the counts as JSON."""

import asyncio
import json
import logging
import resource
import sys
from pathlib import Path

from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.history import History, HistoryQuery, HistorySettings
from tests.support.captions import caption_event, shorter_fallback


class Pictures:
    """A source of pictures that a disk soon has no place for."""

    def offers(self, event: CaptionEvent) -> bool:
        """Offer all."""
        return True

    async def read(self, event: CaptionEvent) -> bytes:
        """Return an image of 20 KB."""
        return bytes(20_000)


async def publish(
    captions: Broadcast[CaptionEvent], history: History, first: int, count: int
) -> None:
    """Publish new captions, no faster than they can be written."""
    for number in range(first, first + count):
        before = history.spans + history.lost
        captions.publish(caption_event(shorter_fallback(f"Frame {number}", "word " * 300), number))
        async with asyncio.timeout(10):
            while history.spans + history.lost == before:
                await asyncio.sleep(0)


def limit_file_size(max_bytes: int) -> None:
    """Limit the size of this process's files, to simulate a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, resource.RLIM_INFINITY))


async def main() -> None:
    """Record with free space, without any, and with some again."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    captions: Broadcast[CaptionEvent] = Broadcast()
    settings = HistorySettings(
        path=Path(sys.argv[1]), days=36_500, pictures="changes", pictures_days=36_500
    )
    history = History(settings)
    await history.open()
    recording = asyncio.create_task(history.record(captions, Pictures()))
    await asyncio.sleep(0.1)
    await publish(captions, history, 0, 5)
    limit_file_size(100_000)
    await publish(captions, history, 5, 100)
    lost = history.lost
    limit_file_size(10_000_000)
    # The caption that was lost last: it must not be taken for one that is already recorded.
    await publish(captions, history, 104, 1)
    found = await history.search(HistoryQuery.parse(None, None, None, "frame"), 1, None)
    async with asyncio.timeout(10):
        while await history.picture(found[0].id) is None:
            await asyncio.sleep(0.01)
    recording.cancel()
    await asyncio.wait({recording})
    await history.close()
    lost_pictures = history.pictures.lost
    counts = {"lost": lost, "after": history.lost, "lost_pictures": lost_pictures}
    print(json.dumps({**counts, "newest": found[0].text}))


if __name__ == "__main__":
    asyncio.run(main())
