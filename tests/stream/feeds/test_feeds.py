"""All feeds of a configuration, and its change."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stream.captioned_stream import CaptionedStream, SignalState
from stream.feeds.feed import Feeds
from stream.feeds.settings import FeedSettings
from stream.publishing.publications import Publications
from tests.stream.sources.servers import silent_server
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import surrounded


def feeds(**sources: dict[str, Any] | str) -> dict[str, FeedSettings]:
    """Settings of feeds by their names, or by their sources alone."""
    return {
        name: FeedSettings.model_validate({"source": it} if isinstance(it, str) else it)
        for name, it in sources.items()
    }


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Feeds, Publications]]:
    publications = Publications()
    async with surrounded(ScriptedCaptions(sure("A cat"))) as shared:
        feeds = Feeds(shared, publications)
        try:
            yield feeds, publications
        finally:
            await feeds.close()
            assert publications.all() == ()


async def published(publications: Publications, *names: str) -> dict[str, CaptionedStream]:
    """Wait until these and no others are published."""
    async with asyncio.timeout(10):
        while {stream.name for stream in publications.all()} != set(names):
            await asyncio.sleep(0.01)
    return {stream.name: stream for stream in publications.all()}


async def test_a_change_of_the_settings_leaves_other_feeds_alone() -> None:
    async with running() as (all_feeds, publications):
        await all_feeds.reload(feeds(door="demo", yard="demo", hall="demo"))
        before = await published(publications, "door", "yard", "hall")
        changed = {"source": "demo", "title": "Back yard"}
        await all_feeds.reload(feeds(door="demo", yard=changed, shed="demo"))
        after = await published(publications, "door", "yard", "shed")
        assert len(all_feeds) == 3

        assert after["door"] is before["door"]
        assert not before["door"].closed.is_set()
        assert after["yard"] is not before["yard"]
        assert after["yard"].title == "Back yard"
        # Whoever watched these is told.
        assert before["yard"].closed.is_set()
        assert before["hall"].closed.is_set()


async def test_a_feed_that_cannot_be_opened_takes_no_other_with_it(tmp_path: Path) -> None:
    with silent_server() as port:
        broken = f"rtsp://127.0.0.1:{port}/live"
        async with running() as (all_feeds, publications):
            await all_feeds.reload(feeds(a=broken, b=str(tmp_path), c="demo"))
            streams = await published(publications, "a", "b", "c")
            async with asyncio.timeout(10):
                while streams["c"].newest is None:
                    await asyncio.sleep(0.01)
            assert streams["b"].signal.state is SignalState.LOST
            began = time.monotonic()
        # All that hang are stopped together.
        assert time.monotonic() - began < 6


async def test_a_name_that_a_session_has_is_waited_for() -> None:
    async with (
        running() as (all_feeds, publications),
        surrounded(ScriptedCaptions(sure("A cat"))) as shared,
    ):
        session = CaptionedStream("door", shared)
        publications.add(session)
        await all_feeds.reload(feeds(door="demo", yard="demo"))
        streams = await published(publications, "door", "yard")
        assert streams["door"] is session
        publications.remove(session)
        await session.close()
