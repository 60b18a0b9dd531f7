"""What is left out when the machine is too slow: in order, not at once, and not for ever."""

import asyncio
import time
from collections.abc import Iterable

import pytest

from inference.captioning.steadiness import Followed, View
from stream import load
from stream import load as load_step
from stream.load import Load, LoadStep, Pressure, Shedding
from stream.webrtc.offer import Offer
from stream.webrtc.sessions import ServerFull
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import serving
from tests.support.peer import Peer

HIGH, MIDDLING, LOW = Pressure(1.0, 0.0), Pressure(0.5, 0.0), Pressure(0.1, 0.0)


def steps(shedding: Shedding, pressures: Iterable[Pressure], begin: float) -> list[int]:
    """The step at each second."""
    return [
        int(shedding.decide(pressure, begin + second)) for second, pressure in enumerate(pressures)
    ]


def test_it_leaves_out_more_step_by_step_and_takes_it_back() -> None:
    shedding = Shedding()
    risen = steps(shedding, [HIGH] * 20, 0)
    assert risen[:14] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4]
    assert set(risen[12:]) == {4}
    fallen = steps(shedding, [LOW] * 70, 100)
    assert sorted(fallen, reverse=True) == fallen
    assert [fallen.index(step) for step in (3, 2, 1, 0)] == [15, 30, 45, 60]


def test_neither_a_moment_nor_something_between_changes_anything() -> None:
    shedding = Shedding()
    assert set(steps(shedding, [HIGH, HIGH, MIDDLING] * 20, 0)) == {0}
    steps(shedding, [HIGH] * 4, 100)
    assert set(steps(shedding, [MIDDLING] * 300, 200)) == {1}
    assert set(steps(shedding, ([LOW] * 14 + [MIDDLING]) * 5, 600)) == {1}


def test_what_came_back_in_vain_comes_back_later_the_next_time() -> None:
    shedding, now, waits = Shedding(), 0.0, []
    for _ in range(8):
        while shedding.decide(HIGH, now) is LoadStep.NOTHING:
            now += 1
        begun = now
        while shedding.decide(LOW, now) is not LoadStep.NOTHING:
            now += 1
        waits.append(now - begun)
    assert waits == [15, 30, 60, 120, 240, 240, 240, 240]


def test_a_loop_that_lags_is_too_much_too() -> None:
    assert Pressure(0.0, 0.5).high
    assert not Pressure(0.0, 0.1).high
    assert not Pressure(0.0, 0.1).low


async def test_one_long_standstill_is_no_load() -> None:
    load = Load()
    running = asyncio.create_task(load.run())
    await asyncio.sleep(1.4)
    time.sleep(1.5)  # noqa: ASYNC251 - as when the machine slept
    await asyncio.sleep(0.1)
    running.cancel()

    assert load.pressure.lag_s < 0.1
    assert not load.pressure.high


def test_lateness_is_that_of_most_captions_by_their_interval() -> None:
    measured = Load()
    for _ in range(4):
        measured.count_caption(20.0, 2.0)
    assert measured.pressure.lateness == 0
    for _ in range(4):
        measured.count_caption(1.0, 2.0)
    assert measured.pressure.lateness == 10
    for _ in range(20):
        measured.count_caption(1.0, 2.0)
    assert measured.pressure.lateness == 0.5
    assert not Load().pressure.high


class SlowCaptions(ScriptedCaptions):
    """Captions that are old when they come."""

    took_s = 0.2

    async def follow(self, view: View, beam_width: int | None) -> Followed:
        """Say it late."""
        await asyncio.sleep(self.took_s)
        return await super().follow(view, beam_width)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide within tenths of seconds."""
    for name, seconds in {"_RISE_S": 0.5, "_FALL_S": 0.5}.items():
        monkeypatch.setattr(load_step, name, seconds)
    for name, seconds in {"_AGE_S": 0.05, "_LATENESS_FOR_S": 2.0}.items():
        monkeypatch.setattr(load, name, seconds)


@pytest.mark.usefixtures("hurry")
async def test_a_server_that_is_too_slow_does_less_and_says_so() -> None:
    captions = SlowCaptions(sure("A cup"))
    async with serving(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        measuring = asyncio.create_task(sessions.shared.load.run())
        _, answer = await sessions.accept(Offer.read(await demo(peer), 65_536))
        await peer.accept(answer)
        await peer.until(lambda: peer.of_type("stats") and step(peer) == LoadStep.SESSIONS)
        told = peer.of_type("stats")[-1]
        assert "too busy" in told["load"]["message"]
        assert told["explanations"] == {"gradcam_every": 0, "saliency_every": 0}
        assert told["settings"]["interval_s"] == 0.25
        async with Peer(None) as another:
            offer = Offer.read(await demo(another), 65_536)
            with pytest.raises(ServerFull, match="too busy"):
                await sessions.accept(offer)
        asked = len(captions.explained)
        came = [message["frame"]["time"] for message in peer.of_type("caption")[-2:]]
        assert came[1] - came[0] > 0.4

        captions.took_s = 0.0
        await peer.until(lambda: step(peer) == LoadStep.NOTHING)
        await peer.until(lambda: len(captions.explained) > asked)
        measuring.cancel()


async def demo(peer: Peer) -> dict[str, str]:
    return {"sdp": (await peer.offer()).sdp, "type": "offer", "source": "demo"}


def step(peer: Peer) -> int:
    found: int = peer.of_type("stats")[-1]["load"]["step"]
    return found
