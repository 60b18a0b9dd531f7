"""Feeds: one from a real camera (GStreamer's RTSP server) that fails, and several at once."""

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.captioning.event import CaptionEvent
from stream.feeds.feed import Feed, Feeds
from stream.feeds.settings import FeedSettings
from stream.publishing.publications import Publications
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import stream_context
from tests.support.loop_blocking import MAX_BLOCKED_S, measure_loop_blocking
from tests.support.servers.gstreamer_camera import GStreamerCamera
from tests.support.servers.source_servers import silent_server

LOGIN = "anna:secret42"


@dataclass
class Observed:
    """Everything that a feed published."""

    stream: CaptionedStream
    signals: list[Signal] = field(default_factory=list)
    captions: list[CaptionEvent] = field(default_factory=list)
    notices: set[str | None] = field(default_factory=set)

    async def until(self, done: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until a condition holds."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self.notices.add(self.stream.notice)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"timed out; {self.signals}")

    async def until_captioned(self) -> None:
        """Wait for the caption of a frame that was captured after this call."""
        now = time.time()
        await self.until(lambda: any(event.captured > now for event in self.captions))
        assert self.stream.signal.state is SignalState.LIVE
        assert self.stream.notice is None

    async def until_lost(self) -> None:
        """Wait until the signal is lost."""
        await self.until(lambda: self.stream.signal.state is SignalState.LOST)


@asynccontextmanager
async def running_feed(
    captions: ScriptedCaptions, settings: FeedSettings
) -> AsyncIterator[Observed]:
    publications = Publications()
    async with stream_context(captions) as context:
        feed = Feed("door", settings, context, publications)
        observed = Observed(feed.stream)
        feed.stream.signals.subscribe(observed.signals.append)
        publications.captions.subscribe(observed.captions.append)
        running = asyncio.create_task(feed.run())
        try:
            yield observed
        finally:
            began = time.monotonic()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            assert time.monotonic() - began < 5
            assert publications.all() == ()


async def test_a_camera_that_stops_and_hangs_is_reconnected(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    captions = ScriptedCaptions(confident_caption("A ball on a dark wall"))
    with GStreamerCamera(LOGIN) as camera:
        settings = FeedSettings.model_validate(
            {"source": camera.url, "interval_s": 0.25, "silence_s": 1, "title": "Front door"}
        )
        async with (
            measure_loop_blocking() as blocking,
            running_feed(captions, settings) as observed,
        ):
            await observed.until_captioned()
            assert (observed.captions[-1].width, observed.captions[-1].height) == (320, 240)

            await asyncio.to_thread(camera.stop)
            await observed.until_lost()
            assert re.fullmatch(r"No signal since \d\d:\d\d:\d\d", observed.stream.notice or "")
            await asyncio.to_thread(camera.start)
            await observed.until_captioned()

            camera.hang()
            hung = time.time()
            await observed.until_lost()
            # One second of silence, and the time to close the connection.
            assert time.time() - hung < 6
            assert abs(observed.stream.signal.since - hung) < 1
            camera.resume()
            await observed.until_captioned()

            # Stopping is quick even while the camera hangs.
            camera.hang()
    assert blocking.longest_s < MAX_BLOCKED_S
    assert [signal.state for signal in observed.signals].count(SignalState.LIVE) == 3
    printed = capfd.readouterr()
    signals = json.dumps([signal.to_json() for signal in observed.signals])
    notices = str(observed.notices)
    for text in (caplog.text, printed.out, printed.err, signals, repr(settings), notices):
        assert "secret42" not in text
        assert "anna" not in text
    assert "feed door is lost: rtsp://127.0.0.1:" in caplog.text


async def test_a_refused_login_is_reported_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    captions = ScriptedCaptions(confident_caption("A ball"))
    with GStreamerCamera(LOGIN) as camera:
        wrong = camera.url.replace("secret42", "wrong99")
        settings = FeedSettings.model_validate({"source": wrong})
        async with running_feed(captions, settings) as observed:
            await observed.until_lost()
    assert "denied access" in observed.stream.signal.message
    assert "wrong99" not in observed.stream.signal.message + caplog.text


async def test_a_feed_is_captioned_and_explained_without_viewers() -> None:
    captions = ScriptedCaptions(confident_caption("A cat"))
    settings = FeedSettings.model_validate(
        {"source": "demo", "interval_s": 0.25, "explanations": "all"}
    )
    async with running_feed(captions, settings) as observed:
        await observed.until(lambda: len(observed.captions) >= 3)
        await observed.until(lambda: "saliency" in captions.explained_methods)
        assert observed.stream.viewers == observed.stream.shared_video.viewers == 0
        assert observed.stream.title == "door"
    assert {event.stream for event in observed.captions} == {"door"}


async def test_an_on_demand_feed_waits_for_a_viewer() -> None:
    settings = FeedSettings.model_validate({"source": "demo", "run": "watched"})
    async with running_feed(ScriptedCaptions(confident_caption("A cat")), settings) as observed:
        await asyncio.sleep(0.3)
        assert observed.captions == []
        assert observed.stream.signal.state is SignalState.IDLE
        with observed.stream.viewing():
            await observed.until(lambda: len(observed.captions) > 0)


async def test_an_unexpected_exception_is_logged_and_the_feed_restarts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(ScriptedCaptions):
        calls = 0

        async def wait_ready(self) -> None:
            self.calls += 1
            if self.calls == 2:
                raise ZeroDivisionError

    settings = FeedSettings.model_validate({"source": "demo", "interval_s": 0.25})
    async with running_feed(Faulty(confident_caption("A cat")), settings) as observed:
        await observed.until(lambda: len(observed.captions) >= 3)
    assert [event.seq for event in observed.captions] == [0, 1, 2]
    assert "feed door failed; it restarts in 1 s" in caplog.text


def feed_settings(**sources: dict[str, Any] | str) -> dict[str, FeedSettings]:
    """Return settings of feeds by name, from tables or from sources only."""
    return {
        name: FeedSettings.model_validate({"source": table} if isinstance(table, str) else table)
        for name, table in sources.items()
    }


@asynccontextmanager
async def running_feeds() -> AsyncIterator[tuple[Feeds, Publications]]:
    publications = Publications()
    async with stream_context(ScriptedCaptions(confident_caption("A cat"))) as context:
        feeds = Feeds(context, publications)
        try:
            yield feeds, publications
        finally:
            await feeds.close()
            assert publications.all() == ()


async def published(publications: Publications, *names: str) -> dict[str, CaptionedStream]:
    """Wait until exactly these streams are published."""
    async with asyncio.timeout(10):
        while {stream.name for stream in publications.all()} != set(names):
            await asyncio.sleep(0.01)
    return {name: publications.find_here(name) for name in names}


async def test_reloading_leaves_unchanged_feeds_alone() -> None:
    async with running_feeds() as (feeds, publications):
        await feeds.reload(feed_settings(door="demo", yard="demo", hall="demo"))
        before = await published(publications, "door", "yard", "hall")
        changed = {"source": "demo", "title": "Back yard"}
        await feeds.reload(feed_settings(door="demo", yard=changed, shed="demo"))
        after = await published(publications, "door", "yard", "shed")
        assert len(feeds) == 3

        assert after["door"] is before["door"]
        assert not before["door"].closed.is_set()
        assert after["yard"] is not before["yard"]
        assert after["yard"].title == "Back yard"
        # So that their viewers are notified.
        assert before["yard"].closed.is_set()
        assert before["hall"].closed.is_set()


async def test_a_feed_that_cannot_be_opened_does_not_affect_others(tmp_path: Path) -> None:
    with silent_server() as port:
        broken = f"rtsp://127.0.0.1:{port}/live"
        async with running_feeds() as (feeds, publications):
            await feeds.reload(feed_settings(a=broken, b=str(tmp_path), c="demo"))
            streams = await published(publications, "a", "b", "c")
            async with asyncio.timeout(10):
                while streams["c"].latest_caption is None:
                    await asyncio.sleep(0.01)
            assert streams["b"].signal.state is SignalState.LOST
            began = time.monotonic()
        # Feeds that hang are stopped concurrently.
        assert time.monotonic() - began < 6


async def test_a_feed_waits_until_a_session_releases_its_name() -> None:
    async with (
        running_feeds() as (feeds, publications),
        stream_context(ScriptedCaptions(confident_caption("A cat"))) as context,
    ):
        session = CaptionedStream("door", context)
        publications.add(session)
        await feeds.reload(feed_settings(door="demo", yard="demo"))
        streams = await published(publications, "door", "yard")
        assert streams["door"] is session
        publications.remove(session)
        await session.close()
