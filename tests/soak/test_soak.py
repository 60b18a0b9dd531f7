"""The soak in short: `make soak` runs it for an hour, with the captioner, and kills 200 times."""

import asyncio

import numpy as np
import pytest

from tests.soak import kills, sampling
from tests.soak.__main__ import soak
from tests.soak.kills import Recoveries
from tests.soak.report import Report
from tests.soak.sampling import Samples
from tests.support.running_server import SCRIPTED


async def test_visits_feeds_and_kills_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "PERIOD_S", 0.5)
    monkeypatch.setattr(kills, "_PAUSES_S", (0.1, 0.5))
    report = Report()
    await soak(report, 5, 2, seed=3, program=SCRIPTED, parts=("feed", "viewer"))

    assert report.visits
    assert report.visits.viewers + report.visits.readers > 1
    assert report.visits.captions > 0
    assert report.recoveries
    assert sum(len(took_s) for took_s in report.recoveries.took_s.values()) == 2
    assert report.recoveries.late == 0
    assert {"server memory, MB", "server threads", "server descriptors"} <= set(report.trends)
    assert 50 < report.trends["server memory, MB"].mean < 1000
    assert "caption age, ms" in report.trends
    assert not report.log_errors


async def test_one_that_is_ended_early_tells_what_it_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "PERIOD_S", 0.1)
    report = Report()
    soaking = asyncio.create_task(soak(report, 3600, 200, seed=3, program=SCRIPTED))
    async with asyncio.timeout(60):
        while not (report.visits and report.visits.readers):
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    soaking.cancel()
    await asyncio.gather(soaking, return_exceptions=True)

    assert soaking.cancelled()
    assert "server threads" in report.trends
    assert not report.log_errors


def samples(grows_by: float) -> Samples:
    taken = Samples()
    hour = np.linspace(0, 3600, 720)
    noise = np.random.default_rng(1).normal(0, 1, len(hour))
    taken.seconds["server memory, MB"] = hour.tolist()
    # It fills its caches first.
    filling = 100 * np.minimum(hour / 300, 1)
    values = 200 + filling + noise + grows_by * hour / 3600
    taken.values["server memory, MB"] = values.tolist()
    return taken


def test_a_leak_fails_the_soak_and_a_warm_up_does_not() -> None:
    well, leaking = Report(), Report()
    well.take_samples(samples(0))
    leaking.take_samples(samples(30))

    assert not well.failures
    assert leaking.failures
    assert "GROWS" in "\n".join(leaking.lines())


def test_captions_that_are_late_fail_the_soak() -> None:
    recoveries = Recoveries()
    recoveries.note("engine", 1.5)
    assert not Report(recoveries=recoveries).failures
    recoveries.note("engine", float("inf"))

    assert Report(recoveries=recoveries).failures == [
        "captions took more than 5 s to be back 1 times"
    ]


def test_a_failure_in_the_servers_log_fails_the_soak() -> None:
    assert Report(log_errors=["2026 ERROR a task failed"]).failures
