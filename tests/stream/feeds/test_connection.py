"""The connection of a feed to its source."""

import asyncio
import contextlib
import gc
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from aiohttp.test_utils import unused_port

from stream.captioned_stream import Signal, SignalState
from stream.feeds import connection as module
from stream.feeds.connection import Demand, SourceConnection
from stream.feeds.settings import FeedSettings
from stream.restart import Backoff
from stream.sources.ingest import Ingest
from tests.support.clips import is_open, pixels, write_clip
from tests.support.loop_blocking import MAX_BLOCKED_S, measure_loop_blocking
from tests.support.servers.live_streams import LiveCamera
from tests.support.servers.source_servers import MjpegCamera, Response, WebServer, silent_server


class Door:
    """A connection of the feed "door", and the signals that it reported."""

    def __init__(self, settings: FeedSettings, demand: Demand, backoff: Backoff) -> None:
        self.ingest, self.backoff = Ingest(), backoff
        self.signals: list[Signal] = []
        self.connection = SourceConnection(
            "door", settings, self.ingest, demand, self.signals.append, backoff
        )

    def states(self) -> list[str]:
        """Return the states of all signals."""
        return [signal.state.value for signal in self.signals]

    async def until(self, done: Callable[[], bool], seconds: float = 15) -> None:
        """Wait until a condition holds."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"timed out; {self.signals}")


@asynccontextmanager
async def connected(
    source: str,
    *,
    grace_s: float = 0.1,
    delay_s: float = 0.02,
    max_delay_s: float = 0.0,
    demand: Demand | None = None,
    **more: object,
) -> AsyncIterator[Door]:
    settings = FeedSettings.model_validate({"source": source, **more})
    demand = demand or Demand(always=True, grace_s=grace_s)
    door = Door(settings, demand, Backoff(delay_s, max_delay_s or delay_s))
    running = asyncio.create_task(door.connection.run())
    try:
        yield door
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def five_frames(sender: MjpegCamera) -> None:
    for _ in range(5):
        sender.send(100)
        time.sleep(0.02)


def a_few_frames(sender: MjpegCamera) -> None:
    five_frames(sender)
    sender.hang()


async def test_a_camera_that_disconnects_is_reconnected() -> None:
    with WebServer({"/camera": five_frames}) as server:
        async with connected(f"{server.url}/camera") as door:
            await door.until(
                lambda: len(server.requested) >= 3 and door.states().count("live") >= 2
            )
    assert door.states()[:4] == ["connecting", "live", "lost", "live"]
    assert "check that it is on and connected" in door.signals[2].message


async def test_a_camera_that_stops_sending_is_lost_since_its_last_frame() -> None:
    with WebServer({"/camera": a_few_frames}) as server:
        async with connected(f"{server.url}/camera", silence_s=1) as door:
            await door.until(lambda: "lost" in door.states())
            lost = door.connection.signal
    # Reported by the source or by the connection, whichever notices first on a busy machine.
    assert "no video" in lost.message
    assert 0.8 < time.time() - lost.since < 5.0


@pytest.mark.parametrize("sides", [[12_000], [96, 12_000]], ids=["from the start", "later"])
async def test_a_camera_whose_frames_are_too_large_is_lost(sides: list[int]) -> None:
    images = [cv2.imencode(".jpg", np.zeros((side, side), np.uint8))[1].tobytes() for side in sides]

    def frames(sender: MjpegCamera) -> None:
        for image in images:
            for _ in range(3):
                sender.send_image(image)
                time.sleep(0.02)
        sender.hang()

    with WebServer({"/camera": frames}) as server:
        async with connected(f"{server.url}/camera", delay_s=30) as door:
            await door.until(lambda: "lost" in door.states())
    message = door.signals[door.states().index("lost")].message
    assert (
        "12000x12000 pixels, more than the limit" in message or "larger than the limit" in message
    )
    assert "raise stream.frame_pixels" in message


async def test_a_lost_signal_keeps_the_time_of_the_loss() -> None:
    async with connected(f"rtsp://127.0.0.1:{unused_port()}/live") as door:
        await door.until(lambda: len(door.signals) > 5)
    assert door.states()[0] == "connecting"
    assert {signal.state for signal in door.signals[1:]} == {SignalState.LOST}
    assert len({signal.since for signal in door.signals[1:]}) == 1


async def test_without_signal_the_last_frame_is_repeated() -> None:
    with WebServer({"/camera": a_few_frames}) as server:
        async with connected(f"{server.url}/camera", silence_s=1, delay_s=60) as door:
            await door.until(lambda: "lost" in door.states())
            received = door.ingest.received
            await door.ingest.to_annotate.take()
            shown = await asyncio.wait_for(door.ingest.to_annotate.take(), 3)
            again = await asyncio.wait_for(door.ingest.to_annotate.take(), 3)
    assert (shown.image.width, shown.image.height) == (128, 96)
    assert again is shown
    # Repeated frames are not captioned.
    assert door.ingest.received == received


async def test_before_the_first_frame_a_black_one_is_shown() -> None:
    async with connected("/no/such/file.mp4", delay_s=60) as door:
        shown = await asyncio.wait_for(door.ingest.to_annotate.take(), 3)
    assert shown.image.to_ndarray(format="gray").max() < 20
    assert door.connection.signal.message.startswith("the source is neither an existing file")


async def test_a_recording_loops_in_real_time(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, count=10, rate=10)
    async with connected(str(path)) as door:
        began = time.monotonic()
        await door.until(lambda: door.ingest.received >= 25)
        took_s = time.monotonic() - began
    assert took_s >= 2.2
    assert door.states() == ["connecting", "live"]
    assert not is_open(path)


async def test_a_stable_connection_resets_the_backoff_although_the_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STABLE_S", 0.01)
    times = itertools.count(1_700_000_000.0, -1.0)
    monkeypatch.setattr(time, "time", lambda: next(times))
    with WebServer({"/camera": five_frames}) as server:
        async with connected(f"{server.url}/camera", delay_s=0.02, max_delay_s=60) as door:
            await door.until(lambda: door.states().count("lost") >= 4)
    # The first delay or its double; without the reset it would be eight times the first.
    assert door.backoff.next_delay_s() < 0.06


async def test_a_url_without_its_scheme_is_not_disclosed() -> None:
    async with connected("anna:secret42@camera/live", delay_s=60) as door:
        await door.until(lambda: "lost" in door.states())
    assert door.connection.signal.message.startswith("the source is neither an existing file")


async def test_a_recording_ends_if_it_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, count=5, rate=10)
    async with connected(str(path), repeat=False) as door:
        await door.until(lambda: "ended" in door.states())
        await asyncio.sleep(0.3)
    assert door.states() == ["connecting", "live", "ended"]
    assert door.ingest.received == 5


async def test_an_on_demand_camera_is_open_only_while_it_is_watched() -> None:
    demand = Demand(always=False, grace_s=0.3)
    async with connected("demo", demand=demand) as door:
        await asyncio.sleep(0.2)
        assert door.states() == ["idle"]
        assert door.ingest.received == 0
        demand.update(watched=True)
        await door.until(lambda: door.connection.signal.state is SignalState.LIVE)
        # As when a page is reloaded.
        demand.update(watched=False)
        await asyncio.sleep(0.1)
        demand.update(watched=True)
        await asyncio.sleep(0.4)
        assert door.states() == ["idle", "connecting", "live"]
        demand.update(watched=False)
        await door.until(lambda: door.connection.signal.state is SignalState.IDLE)
        received = door.ingest.received
        await asyncio.sleep(0.2)
        assert door.ingest.received == received
        demand.update(watched=True)
        await door.until(lambda: door.states()[-2:] == ["connecting", "live"])


async def test_a_source_that_does_not_respond_is_lost_but_not_reopened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_FRAME_S", 0.6)
    with silent_server() as port:
        async with connected(f"rtsp://127.0.0.1:{port}/live", silence_s=1) as door:
            await door.until(lambda: "lost" in door.states())
            assert door.connection.signal.message == "no response for 3 s"
            await asyncio.sleep(0.5)
            assert door.connection.attempts == 1


async def test_a_slow_camera_has_time_for_its_first_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_FRAME_S", 0.6)

    def after_a_pause(sender: MjpegCamera) -> None:
        time.sleep(2)
        a_few_frames(sender)

    with WebServer({"/camera": after_a_pause}) as server:
        async with connected(f"{server.url}/camera", silence_s=3) as door:
            await door.until(lambda: door.connection.signal.state is SignalState.LIVE)
    assert door.states() == ["connecting", "live"]


async def test_a_live_stream_that_ends_is_lost_and_connected_again() -> None:
    camera = LiveCamera("mp4", limit=20)
    with WebServer({"/live": Response(camera.send, chunked=True)}) as server:
        async with connected(f"{server.url}/live", repeat=False) as door:
            await door.until(lambda: door.states().count("live") >= 2)
    assert door.states()[:4] == ["connecting", "live", "lost", "live"]
    assert "stopped sending (end of the stream)" in door.signals[2].message


async def test_stopping_does_not_wait_for_a_source_that_hangs() -> None:
    with silent_server() as port:
        async with measure_loop_blocking() as blocking:
            async with connected(f"rtsp://127.0.0.1:{port}/live"):
                await asyncio.sleep(0.3)
                began = time.monotonic()
            assert time.monotonic() - began < 1.0
    assert blocking.longest_s < MAX_BLOCKED_S


async def test_failed_attempts_leak_nothing() -> None:
    def resources() -> tuple[int, int, int]:
        gc.collect()
        threads = [thread.name for thread in threading.enumerate()]
        reading = [name for name in threads if name.startswith(("feed", "source"))]
        files = list(Path("/proc/self/fd").iterdir())
        return len(files), len(reading), len(asyncio.all_tasks())

    # The source that hangs in the previous test is closed in a thread of its own.
    async with asyncio.timeout(10):
        while resources()[1]:
            await asyncio.sleep(0.05)
    with WebServer({"/camera": five_frames, "/garbage": b"no video" * 99}) as server:
        before = resources()
        for path in ("/camera", "/garbage", "/none"):
            async with connected(f"{server.url}{path}", delay_s=0.001) as door:
                await door.until(lambda: door.states().count("lost") >= 17, 30)
        await asyncio.sleep(0.2)
        assert resources() == before


async def test_a_snapshot_url_is_fetched_repeatedly(
    tmp_path: Path,
) -> None:
    path = tmp_path / "snapshot.png"
    cv2.imwrite(str(path), pixels()[:, :, ::-1])
    with WebServer({"/snapshot.png": path.read_bytes()}) as server:
        async with connected(f"{server.url}/snapshot.png") as door:
            await door.until(lambda: len(server.requested) >= 3)
    assert door.states() == ["connecting", "live"]
