import asyncio
from dataclasses import replace

import pytest

from tests.bench.capacity_figures import capacity_figures, carries
from tests.bench.capacity_level import Level
from tests.bench.capacity_load import RATE
from tests.bench.child import Child
from tests.bench.figures import Summary
from tests.support.running_server import SCRIPTED, RunningServer


def level(sessions: int, *, returned: float = 1.0, age_s: float = 0.3, cost: float = 0.2) -> Level:
    cpu = {"server": 0.1 + cost * sessions, "engine": 0.0, "load": 0.0}
    return Level(sessions, returned, returned, 0.5, Summary.of([age_s]), cpu, 0, 0, 0, [])


@pytest.mark.parametrize("failed", [level(3, returned=0.94), level(3, age_s=2.1)])
def test_carries_as_many_sessions_as_come_before_the_first_that_it_does_not(failed: Level) -> None:
    assert carries([level(0), level(1), level(2), failed, level(4)]) == 2


def test_a_refused_session_is_not_carried() -> None:
    assert carries([level(0), level(1), Level.refused(2, "503")]) == 1


def test_tells_what_one_more_session_costs_at_one_and_at_ten() -> None:
    ladder = [level(number) for number in range(9)]
    ladder += [level(number, cost=0.2 + 0.03 * (number - 9)) for number in range(9, 12)]
    figures = {figure.name: figure for figure in capacity_figures([ladder])}

    assert figures["one more session at 1"].summary.median == pytest.approx(200)
    assert figures["one more session at 10"].summary.median == pytest.approx(530)
    dearer = figures["one more session at 10 costs more by"]
    assert dearer.summary.median == pytest.approx(1.65)
    assert dearer.target
    assert not dearer.target.reached(dearer.summary)


def test_says_nothing_of_ten_sessions_when_there_never_were_as_many() -> None:
    ladder = [level(0), level(1), level(2), replace(level(3), returned=0.2)]

    assert not [figure for figure in capacity_figures([ladder]) if "at 10" in figure.name]


async def test_the_load_counts_what_comes_back_and_how_old_captions_are() -> None:
    async with (
        RunningServer.started(program=SCRIPTED) as server,
        Child.started("tests.bench.capacity_load", server.url) as client,
    ):
        await client.hear()
        assert await client.ask(sessions=2) == {"opened": 2, "problem": None}
        await asyncio.sleep(2)
        await client.ask(count=True)
        await asyncio.sleep(4)
        counted = (await client.ask(count=True))["counted"]

    for session in counted:
        assert session["sent"] == pytest.approx(4 * RATE, rel=0.1)
        assert session["returned"] == pytest.approx(4 * RATE, rel=0.1)
        assert 1 <= len(session["ages_s"]) <= 3
        assert all(0 < age < 2 for age in session["ages_s"])
        assert session["packets_in"] >= session["returned"]
