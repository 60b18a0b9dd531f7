"""Tests of load shedding: features go off level by level, and come back."""

import asyncio
import time
from collections.abc import Iterable
from functools import partial

import pytest

from inference.captioning.stream_state import FrameRequest, FrameResult
from stream import load
from stream.clock import boottime
from stream.load import LoadLevel, LoadMonitor, LoadShedder, Pressure
from stream.webrtc.offer import Offer
from stream.webrtc.sessions import ServerFull
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import live_sessions
from tests.support.peer import Peer

HIGH, MEDIUM, LOW = Pressure(1.0, 0.0), Pressure(0.5, 0.0), Pressure(0.1, 0.0)


def levels(shedder: LoadShedder, pressures: Iterable[Pressure], begin: float) -> list[int]:
    """Return the load level at each second."""
    return [
        int(shedder.update(pressure, begin + second)) for second, pressure in enumerate(pressures)
    ]


def test_the_level_rises_and_falls_step_by_step() -> None:
    shedder = LoadShedder()
    risen = levels(shedder, [HIGH] * 20, 0)
    assert risen[:14] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4]
    assert set(risen[12:]) == {4}
    fallen = levels(shedder, [LOW] * 70, 100)
    assert sorted(fallen, reverse=True) == fallen
    assert [fallen.index(level) for level in (3, 2, 1, 0)] == [15, 30, 45, 60]


def test_neither_brief_nor_medium_pressure_changes_the_level() -> None:
    shedder = LoadShedder()
    assert set(levels(shedder, [HIGH, HIGH, MEDIUM] * 20, 0)) == {0}
    levels(shedder, [HIGH] * 4, 100)
    assert set(levels(shedder, [MEDIUM] * 300, 200)) == {1}
    assert set(levels(shedder, ([LOW] * 14 + [MEDIUM]) * 5, 600)) == {1}


def test_a_level_lowered_too_early_is_lowered_later_the_next_time() -> None:
    shedder, now, waits = LoadShedder(), 0.0, []
    for _ in range(8):
        while shedder.update(HIGH, now) is LoadLevel.NORMAL:
            now += 1
        begun = now
        while shedder.update(LOW, now) is not LoadLevel.NORMAL:
            now += 1
        waits.append(now - begun)
    assert waits == [15, 30, 60, 120, 240, 240, 240, 240]


def test_lag_of_the_event_loop_is_high_pressure_too() -> None:
    assert Pressure(0.0, 0.5).high
    assert not Pressure(0.0, 0.1).high
    assert not Pressure(0.0, 0.1).low


async def test_a_single_long_pause_is_no_load() -> None:
    monitor = LoadMonitor()
    running = asyncio.create_task(monitor.run())
    await asyncio.sleep(1.4)
    time.sleep(1.5)  # noqa: ASYNC251 - as if the machine was suspended
    await asyncio.sleep(0.1)
    running.cancel()

    # A busy machine has a lag of its own.
    assert monitor.pressure.lag_s < 0.5


async def test_after_a_suspension_the_load_is_measured_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offset_s = 0.0
    monkeypatch.setattr(load, "boottime", lambda: boottime() + offset_s)
    monitor = LoadMonitor()
    for _ in range(20):
        monitor.count_caption(20.0, 2.0)
    running = asyncio.create_task(monitor.run())
    await asyncio.sleep(0.3)
    assert monitor.pressure.high
    offset_s = 6.0
    await asyncio.sleep(0.3)
    assert monitor.pressure == Pressure(0.0, 0.0)
    running.cancel()
    # Their frames were captured before.
    for _ in range(8):
        monitor.count_caption(7.0, 2.0)
    assert monitor.pressure.lateness == 0
    offset_s = 16.0
    for _ in range(8):
        monitor.count_caption(1.0, 2.0)
    assert monitor.pressure.lateness == 0.5


async def test_a_clock_that_is_set_makes_no_caption_older(monkeypatch: pytest.MonkeyPatch) -> None:
    captions = ScriptedCaptions(confident_caption("A cup"))
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        _, answer = await sessions.accept(Offer.from_json(await demo(peer), 65_536))
        await peer.accept(answer)
        await peer.until(lambda: len(peer.received("caption")) > 1)
        unset = time.time

        def add(ahead_s: float) -> float:
            return unset() + ahead_s

        for ahead_s in (20.0, -3600.0):
            monkeypatch.setattr(time, "time", partial(add, ahead_s))
            enough = len(peer.received("caption")) + 7
            await peer.until(partial(has_captions, peer, enough))
            received = peer.received("caption")[enough - 6 :]
            assert all(0 < caption["age_ms"] < 5000 for caption in received)
            assert abs(received[-1]["frame"]["time"] - time.time()) < 10
        assert sessions.context.load.pressure.lateness < 2.5


def test_lateness_is_the_third_quartile_relative_to_the_interval() -> None:
    monitor = LoadMonitor()
    for _ in range(4):
        monitor.count_caption(20.0, 2.0)
    assert monitor.pressure.lateness == 0
    for _ in range(4):
        monitor.count_caption(1.0, 2.0)
    assert monitor.pressure.lateness == 10
    for _ in range(20):
        monitor.count_caption(1.0, 2.0)
    assert monitor.pressure.lateness == 0.5
    assert not LoadMonitor().pressure.high


class SlowCaptions(ScriptedCaptions):
    """A caption service that takes its time."""

    delay_s = 0.2

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Return the caption after a delay."""
        await asyncio.sleep(self.delay_s)
        return await super().caption_frame(request, beam_width)


@pytest.fixture
def fast_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the load level within tenths of a second."""
    seconds = {
        "_RAISE_AFTER_S": 0.5,
        "_LOWER_AFTER_S": 0.5,
        "_MIN_ALLOWED_AGE_S": 0.05,
        "_LATENESS_WINDOW_S": 2.0,
    }
    for name, value in seconds.items():
        monkeypatch.setattr(load, name, value)


@pytest.mark.usefixtures("fast_decisions")
async def test_a_slow_server_does_less_and_reports_it() -> None:
    captions = SlowCaptions(confident_caption("A cup"))
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        running = asyncio.create_task(sessions.context.load.run())
        _, answer = await sessions.accept(Offer.from_json(await demo(peer), 65_536))
        await peer.accept(answer)
        await peer.until(
            lambda: peer.received("stats") and level(peer) == LoadLevel.NO_NEW_SESSIONS
        )
        stats = peer.received("stats")[-1]
        assert "too busy" in stats["load"]["message"]
        assert stats["explanations"] == {"words_every": 0, "saliency_every": 0}
        assert stats["settings"]["interval_s"] == 0.25
        async with Peer(None) as another:
            offer = Offer.from_json(await demo(another), 65_536)
            with pytest.raises(ServerFull, match="too busy"):
                await sessions.accept(offer)
        explained = len(captions.explained_methods)
        times = [message["frame"]["time"] for message in peer.received("caption")[-2:]]
        assert times[1] - times[0] > 0.4

        captions.delay_s = 0.0
        await peer.until(lambda: level(peer) == LoadLevel.NORMAL)
        await peer.until(lambda: len(captions.explained_methods) > explained)
        running.cancel()


def has_captions(peer: Peer, count: int) -> bool:
    return len(peer.received("caption")) >= count


async def demo(peer: Peer) -> dict[str, str]:
    return {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}


def level(peer: Peer) -> int:
    found: int = peer.received("stats")[-1]["load"]["step"]
    return found
