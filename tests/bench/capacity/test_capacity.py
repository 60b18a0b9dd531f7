"""Tests of the capacity benchmark's figures and of its load generator."""

import asyncio
from dataclasses import replace

import pytest

from tests.bench.capacity.figures import capacity_figures, sustained_sessions
from tests.bench.capacity.level import Level
from tests.bench.capacity.load import RATE
from tests.bench.figures import Summary
from tests.support.child_process import Child
from tests.support.servers.server_process import SCRIPTED, ServerProcess


def level(sessions: int, *, returned: float = 1.0, age_s: float = 0.3, cost: float = 0.2) -> Level:
    cpu = {"server": 0.1 + cost * sessions, "engine": 0.0, "load": 0.0}
    return Level(sessions, returned, returned, 0.5, Summary.of([age_s]), cpu, 0, 0, 0, [])


@pytest.mark.parametrize("failed", [level(3, returned=0.94), level(3, age_s=2.1)])
def test_sustained_sessions_end_before_the_first_failed_level(failed: Level) -> None:
    assert sustained_sessions([level(0), level(1), level(2), failed, level(4)]) == 2


def test_a_refused_session_is_not_sustained() -> None:
    assert sustained_sessions([level(0), level(1), Level.refused(2, "503")]) == 1


def test_the_cost_per_session_is_measured_at_one_and_at_ten() -> None:
    levels = [level(number) for number in range(9)]
    levels += [level(number, cost=0.2 + 0.03 * (number - 9)) for number in range(9, 12)]
    figures = {figure.name: figure for figure in capacity_figures([levels])}

    assert figures["cost per session at 1"].summary.median == pytest.approx(200)
    assert figures["cost per session at 10"].summary.median == pytest.approx(530)
    increase = figures["increase of the cost from 1 to 10 sessions"]
    assert increase.summary.median == pytest.approx(1.65)
    assert increase.target
    assert not increase.target.is_met(increase.summary)


def test_there_are_no_figures_at_ten_sessions_without_ten_sessions() -> None:
    levels = [level(0), level(1), level(2), replace(level(3), returned=0.2)]

    assert not [figure for figure in capacity_figures([levels]) if "10" in figure.name]


async def test_the_load_generator_counts_frames_and_ages_of_captions() -> None:
    async with (
        ServerProcess.start(program=SCRIPTED) as server,
        Child.start("tests.bench.capacity.load", server.url) as client,
    ):
        await client.receive()
        assert await client.request(sessions=2) == {"opened": 2, "problem": None}
        await asyncio.sleep(2)
        await client.request(take_counts=True)
        await asyncio.sleep(4)
        counts = (await client.request(take_counts=True))["counts"]

    for session in counts:
        assert session["sent"] == pytest.approx(4 * RATE, rel=0.1)
        assert session["returned"] == pytest.approx(4 * RATE, rel=0.1)
        assert 1 <= len(session["ages_s"]) <= 3
        assert all(0 < age < 2 for age in session["ages_s"])
        assert session["packets_in"] >= session["returned"]
