"""A source that is kept coming in."""

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import pytest

from stream.captioned_stream import Signal, SignalState
from stream.feeds import camera
from stream.feeds.camera import Camera, Demand
from stream.feeds.settings import FeedSettings
from stream.rate_limit import Pauses
from stream.sources.intake import Intake
from tests.stream.sources import servers
from tests.stream.sources.clips import is_open, pixels, write_clip
from tests.stream.sources.servers import WebServer, free_port, silent_server
from tests.support.loop_pauses import HELD_UP_S, loop_pauses


class Watched:
    """A camera that runs, and all that it said."""

    def __init__(self, settings: FeedSettings, demand: Demand, pauses: Pauses) -> None:
        self.intake, self.pauses = Intake(), pauses
        self.signals: list[Signal] = []
        self.camera = Camera("door", settings, self.intake, demand, self.signals.append, pauses)

    def states(self) -> list[str]:
        """Tell the states that it was in."""
        return [signal.state.value for signal in self.signals]

    async def until(self, done: Callable[[], bool], seconds: float = 15) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"it has not come to that; {self.signals}")


@asynccontextmanager
async def watching(
    source: str,
    *,
    grace_s: float = 0.1,
    pause_s: float = 0.02,
    longest_s: float = 0.0,
    demand: Demand | None = None,
    **more: object,
) -> AsyncIterator[Watched]:
    settings = FeedSettings.model_validate({"source": source, **more})
    demand = demand or Demand(always=True, grace_s=grace_s)
    watched = Watched(settings, demand, Pauses(pause_s, longest_s or pause_s))
    running = asyncio.create_task(watched.camera.run())
    try:
        yield watched
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def five_pictures(sender: servers.Camera) -> None:
    for _ in range(5):
        sender.send(100)
        time.sleep(0.02)


def a_few_pictures(sender: servers.Camera) -> None:
    five_pictures(sender)
    sender.hang()


async def test_a_camera_that_hangs_up_is_asked_again() -> None:
    with WebServer({"/camera": five_pictures}) as server:
        async with watching(f"{server.url}/camera") as door:
            await door.until(lambda: len(server.asked) >= 3 and door.states().count("live") >= 2)
    assert door.states()[:4] == ["connecting", "live", "lost", "live"]
    assert "check that it is still on and connected" in door.signals[2].message


async def test_a_camera_that_falls_silent_is_lost_since_its_last_picture() -> None:
    with WebServer({"/camera": a_few_pictures}) as server:
        async with watching(f"{server.url}/camera", silence_s=1) as door:
            await door.until(lambda: "lost" in door.states())
            lost = door.camera.signal
    # The source says it, or the watch over it does, whichever comes first on a busy machine.
    assert "no picture" in lost.message
    assert 0.8 < time.time() - lost.since < 5.0


async def test_lost_is_lost_since_it_began() -> None:
    async with watching(f"rtsp://127.0.0.1:{free_port()}/live") as door:
        await door.until(lambda: len(door.signals) > 5)
    assert door.states()[0] == "connecting"
    assert {signal.state for signal in door.signals[1:]} == {SignalState.LOST}
    assert len({signal.since for signal in door.signals[1:]}) == 1


async def test_while_no_pictures_come_the_last_one_is_shown_again() -> None:
    with WebServer({"/camera": a_few_pictures}) as server:
        async with watching(f"{server.url}/camera", silence_s=1, pause_s=60) as door:
            await door.until(lambda: "lost" in door.states())
            received = door.intake.received
            await door.intake.to_return.take()
            shown = await asyncio.wait_for(door.intake.to_return.take(), 3)
            again = await asyncio.wait_for(door.intake.to_return.take(), 3)
    assert (shown.image.width, shown.image.height) == (128, 96)
    assert again is shown
    # Nothing new is to be captioned.
    assert door.intake.received == received


async def test_where_there_never_was_a_picture_a_dark_one_is_shown() -> None:
    async with watching("/no/such/file.mp4", pause_s=60) as door:
        shown = await asyncio.wait_for(door.intake.to_return.take(), 3)
    assert shown.image.to_ndarray(format="gray").max() < 20
    assert door.camera.signal.message.startswith("there is no '/no/such/file.mp4'")


async def test_a_recording_is_played_again_and_again_in_real_time(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, count=10, rate=10)
    async with watching(str(path)) as door:
        began = time.monotonic()
        await door.until(lambda: door.intake.received >= 25)
        took_s = time.monotonic() - began
    assert took_s >= 2.2
    assert door.states() == ["connecting", "live"]
    assert not is_open(path)


async def test_what_was_live_for_a_while_is_tried_again_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera, "SETTLED_S", 0.01)
    with WebServer({"/camera": five_pictures}) as server:
        async with watching(f"{server.url}/camera", pause_s=0.02, longest_s=60) as door:
            await door.until(lambda: door.states().count("lost") >= 4)
    # The first pause once more, or its double; without that it would be eight times as long.
    assert door.pauses.next_s() < 0.06


async def test_an_address_without_its_scheme_is_not_told() -> None:
    async with watching("anna:secret42@camera/live", pause_s=60) as door:
        await door.until(lambda: "lost" in door.states())
    assert door.camera.signal.message.startswith("there is no 'the source'")


async def test_a_recording_is_over_when_it_is_not_to_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, count=5, rate=10)
    async with watching(str(path), repeat=False) as door:
        await door.until(lambda: "ended" in door.states())
        await asyncio.sleep(0.3)
    assert door.states() == ["connecting", "live", "ended"]
    assert door.intake.received == 5


async def test_a_camera_is_open_only_while_someone_watches() -> None:
    demand = Demand(always=False, grace_s=0.3)
    async with watching("demo", demand=demand) as door:
        await asyncio.sleep(0.2)
        assert door.states() == ["idle"]
        assert door.intake.received == 0
        demand.tell(watched=True)
        await door.until(lambda: door.camera.signal.state is SignalState.LIVE)
        # A page that is loaded anew.
        demand.tell(watched=False)
        await asyncio.sleep(0.1)
        demand.tell(watched=True)
        await asyncio.sleep(0.4)
        assert door.states() == ["idle", "connecting", "live"]
        demand.tell(watched=False)
        await door.until(lambda: door.camera.signal.state is SignalState.IDLE)
        received = door.intake.received
        await asyncio.sleep(0.2)
        assert door.intake.received == received
        demand.tell(watched=True)
        await door.until(lambda: door.states()[-2:] == ["connecting", "live"])


async def test_a_source_that_does_not_answer_is_lost_and_still_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera, "ANSWER_S", 0.6)
    with silent_server() as port:
        async with watching(f"rtsp://127.0.0.1:{port}/live") as door:
            await door.until(lambda: "lost" in door.states())
            assert door.camera.signal.message == "it has not answered for 1 s"
            await asyncio.sleep(0.5)
            assert door.camera.attempts == 1


async def test_stopping_waits_for_nobody() -> None:
    with silent_server() as port:
        async with loop_pauses() as pauses:
            async with watching(f"rtsp://127.0.0.1:{port}/live"):
                await asyncio.sleep(0.3)
                began = time.monotonic()
            assert time.monotonic() - began < 1.0
    assert pauses.longest_s < HELD_UP_S


async def test_many_failed_attempts_leave_nothing_behind() -> None:
    def held() -> tuple[int, int, int]:
        gc.collect()
        threads = [thread.name for thread in threading.enumerate()]
        reading = [name for name in threads if name.startswith(("feed", "source"))]
        files = list(Path("/proc/self/fd").iterdir())
        return len(files), len(reading), len(asyncio.all_tasks())

    with WebServer({"/camera": five_pictures, "/scraps": b"no video" * 99}) as server:
        before = held()
        for path in ("/camera", "/scraps", "/none"):
            async with watching(f"{server.url}{path}", pause_s=0.001) as door:
                await door.until(lambda: door.states().count("lost") >= 17, 30)
        await asyncio.sleep(0.2)
        assert held() == before


async def test_the_picture_at_a_camera_s_address_is_fetched_again_and_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "snapshot.png"
    cv2.imwrite(str(path), pixels()[:, :, ::-1])
    with WebServer({"/snapshot.png": path.read_bytes()}) as server:
        async with watching(f"{server.url}/snapshot.png") as door:
            await door.until(lambda: len(server.asked) >= 3)
    assert door.states() == ["connecting", "live"]
