"""Writes to a history whose file cannot grow; run with its path, and prints what became of it."""

import asyncio
import json
import logging
import resource
import sys
from pathlib import Path

from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.history import History, HistorySettings, Wanted
from tests.support.captions import shorter
from tests.support.events import event


async def say(captions: Broadcast[CaptionEvent], history: History, first: int, count: int) -> None:
    """Say something new again and again, no faster than it can be written."""
    for number in range(first, first + count):
        before = history.spans + history.lost
        captions.publish(event(shorter(f"Picture {number}", "word " * 300), number))
        async with asyncio.timeout(10):
            while history.spans + history.lost == before:
                await asyncio.sleep(0)


def limit_files(most: int) -> None:
    """Let no file of this process become larger than so many bytes: as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


async def main() -> None:
    """Write while there is room, while there is none, and when there is some again."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    captions: Broadcast[CaptionEvent] = Broadcast()
    settings = HistorySettings(path=Path(sys.argv[1]), days=36_500)
    history = History(settings)
    await history.open()
    keeping = asyncio.create_task(history.keep(captions))
    await asyncio.sleep(0.1)
    await say(captions, history, 0, 5)
    limit_files(100_000)
    await say(captions, history, 5, 100)
    lost = history.lost
    limit_files(10_000_000)
    # The very caption that was lost last: it must not pass for one that is there already.
    await say(captions, history, 104, 1)
    found = await history.search(Wanted.of(None, None, None, "picture"), 1, None)
    keeping.cancel()
    await asyncio.wait({keeping})
    await history.close()
    print(json.dumps({"lost": lost, "after": history.lost, "newest": found[0].text}))


if __name__ == "__main__":
    asyncio.run(main())
