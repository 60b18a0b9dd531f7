"""A feed from a real camera (GStreamer's RTSP server) that comes, goes and hangs."""

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from stream.captioned_stream import CaptionedStream, Signal, SignalState
from stream.captioning.event import CaptionEvent
from stream.feeds.feed import Feed
from stream.feeds.settings import FeedSettings
from stream.publishing.publications import Publications
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import surrounded
from tests.support.loop_pauses import HELD_UP_S, loop_pauses
from tests.support.rtsp_camera import RtspCamera

LOGIN = "anna:secret42"


@dataclass
class Seen:
    """What was seen of a feed."""

    stream: CaptionedStream
    signals: list[Signal] = field(default_factory=list)
    captions: list[CaptionEvent] = field(default_factory=list)
    notices: set[str | None] = field(default_factory=set)

    async def until(self, done: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self.notices.add(self.stream.notice)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"it has not come to that; {self.signals}")

    async def until_captioned(self) -> None:
        """Wait for pictures, and for the caption of one that came after this."""
        now = time.time()
        await self.until(lambda: any(event.captured > now for event in self.captions))
        assert self.stream.signal.state is SignalState.LIVE
        assert self.stream.notice is None

    async def until_lost(self) -> None:
        """Wait until it says that there is no signal."""
        await self.until(lambda: self.stream.signal.state is SignalState.LOST)


@asynccontextmanager
async def feeding(captions: ScriptedCaptions, settings: FeedSettings) -> AsyncIterator[Seen]:
    publications = Publications()
    async with surrounded(captions) as shared:
        feed = Feed("door", settings, shared, publications)
        seen = Seen(feed.stream)
        feed.stream.signals.listen(seen.signals.append)
        publications.captions.listen(seen.captions.append)
        running = asyncio.create_task(feed.run())
        try:
            yield seen
        finally:
            began = time.monotonic()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            assert time.monotonic() - began < 5
            assert publications.all() == ()


async def test_a_camera_that_is_stopped_restarted_and_hangs_comes_back(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    captions = ScriptedCaptions(sure("A ball on a dark wall"))
    with RtspCamera(LOGIN) as camera:
        settings = FeedSettings.model_validate(
            {"source": camera.url, "interval_s": 0.25, "silence_s": 1, "title": "Front door"}
        )
        async with loop_pauses() as pauses, feeding(captions, settings) as seen:
            await seen.until_captioned()
            assert (seen.captions[-1].width, seen.captions[-1].height) == (320, 240)

            await asyncio.to_thread(camera.stop)
            await seen.until_lost()
            assert re.fullmatch(r"No signal since \d\d:\d\d:\d\d", seen.stream.notice or "")
            await asyncio.to_thread(camera.start)
            await seen.until_captioned()

            camera.hang()
            hung = time.time()
            await seen.until_lost()
            # A second of silence, and what it takes to close.
            assert time.time() - hung < 6
            assert abs(seen.stream.signal.since - hung) < 1
            camera.go_on()
            await seen.until_captioned()

            # Stopping while it hangs, too, is a matter of moments.
            camera.hang()
    assert pauses.longest_s < HELD_UP_S
    assert [signal.state for signal in seen.signals].count(SignalState.LIVE) == 3
    printed = capfd.readouterr()
    told = json.dumps([signal.to_json() for signal in seen.signals])
    for text in (caplog.text, printed.out, printed.err, told, repr(settings), str(seen.notices)):
        assert "secret42" not in text
        assert "anna" not in text
    assert "feed door is lost: rtsp://127.0.0.1:" in caplog.text


async def test_a_camera_that_refuses_the_login_says_so(caplog: pytest.LogCaptureFixture) -> None:
    captions = ScriptedCaptions(sure("A ball"))
    with RtspCamera(LOGIN) as camera:
        wrong = camera.url.replace("secret42", "wrong99")
        async with feeding(captions, FeedSettings.model_validate({"source": wrong})) as seen:
            await seen.until_lost()
    assert "refused access" in seen.stream.signal.message
    assert "wrong99" not in seen.stream.signal.message + caplog.text


async def test_it_is_captioned_though_nobody_looks_and_comes_with_its_maps() -> None:
    captions = ScriptedCaptions(sure("A cat"))
    settings = FeedSettings.model_validate(
        {"source": "demo", "interval_s": 0.25, "explanations": "all"}
    )
    async with feeding(captions, settings) as seen:
        await seen.until(lambda: len(seen.captions) >= 3)
        await seen.until(lambda: "saliency" in captions.explained)
        assert seen.stream.viewers == seen.stream.shared_video.viewers == 0
        assert seen.stream.title == "door"
    assert {event.stream for event in seen.captions} == {"door"}


async def test_one_that_is_captioned_only_while_watched_waits_for_a_watcher() -> None:
    settings = FeedSettings.model_validate({"source": "demo", "run": "watched"})
    async with feeding(ScriptedCaptions(sure("A cat")), settings) as seen:
        await asyncio.sleep(0.3)
        assert seen.captions == []
        assert seen.stream.signal.state is SignalState.IDLE
        with seen.stream.watched():
            await seen.until(lambda: len(seen.captions) > 0)


async def test_what_fails_unforeseen_is_logged_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(ScriptedCaptions):
        asked = 0

        async def wait_ready(self) -> None:
            self.asked += 1
            if self.asked == 2:
                raise ZeroDivisionError

    settings = FeedSettings.model_validate({"source": "demo", "interval_s": 0.25})
    async with feeding(Faulty(sure("A cat")), settings) as seen:
        await seen.until(lambda: len(seen.captions) >= 3)
    assert [event.seq for event in seen.captions] == [0, 1, 2]
    assert "feed door failed; it goes on in 1 s" in caplog.text
