"""Short endurance tests; `make soak` runs an hour with the captioner, and 200 faults."""

import asyncio

import numpy as np
import pytest

from tests.soak import fault_injection, sampling
from tests.soak.__main__ import soak
from tests.soak.fault_injection import Part, Recoveries
from tests.soak.report import Report
from tests.soak.sampling import Samples
from tests.support.servers.server_process import SCRIPTED


async def test_clients_are_simulated_and_faults_injected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "PERIOD_S", 0.5)
    monkeypatch.setattr(fault_injection, "_PAUSE_S", (0.1, 0.5))
    report = Report()
    await soak(report, 8, 2, seed=3, program=SCRIPTED, parts=("feed", "viewer"))

    assert report.clients
    assert report.clients.viewers + report.clients.subscribers > 1
    assert report.clients.captions > 0
    assert report.recoveries
    assert sum(len(times_s) for times_s in report.recoveries.times_s.values()) == 2
    assert report.recoveries.late == 0
    assert {"server memory, MB", "server threads", "server descriptors"} <= set(report.trends)
    assert 50 < report.trends["server memory, MB"].mean < 1000
    assert "caption age, ms" in report.trends
    assert not report.log_errors


async def test_a_killed_media_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_injection, "_PAUSE_S", (0.1, 0.5))
    report = Report()
    parts: tuple[Part, ...] = ("media process",)
    await soak(report, 0, 1, seed=3, program=SCRIPTED, parts=parts, media_processes=2)

    assert report.recoveries
    (seconds,) = report.recoveries.times_s["media process"]
    # Not the limit of `make soak`: a process starts slowly while other tests run.
    assert 0 < seconds < 60


async def test_a_cancelled_run_reports_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "PERIOD_S", 0.1)
    report = Report()
    task = asyncio.create_task(soak(report, 3600, 200, seed=3, program=SCRIPTED))
    async with asyncio.timeout(60):
        while not (report.clients and report.clients.subscribers):
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert "server threads" in report.trends
    assert not report.log_errors


def samples(growth_per_hour: float) -> Samples:
    samples = Samples()
    hour = np.linspace(0, 3600, 720)
    noise = np.random.default_rng(1).normal(0, 1, len(hour))
    samples.seconds["server memory, MB"] = hour.tolist()
    # Caches fill during the warm-up.
    filling = 100 * np.minimum(hour / 300, 1)
    values = 200 + filling + noise + growth_per_hour * hour / 3600
    samples.values["server memory, MB"] = values.tolist()
    return samples


def test_a_leak_fails_the_test_and_a_warm_up_does_not() -> None:
    flat, leaking = Report(), Report()
    flat.add_samples(samples(0))
    leaking.add_samples(samples(30))

    assert not flat.failures
    assert leaking.failures
    assert "GROWS" in "\n".join(leaking.lines())


def test_late_captions_fail_the_test() -> None:
    recoveries = Recoveries()
    recoveries.add("engine", 1.5)
    assert not Report(recoveries=recoveries).failures
    recoveries.add("engine", float("inf"))

    assert Report(recoveries=recoveries).failures == [
        "captions resumed after more than 5 s: 1 times"
    ]


def test_an_error_in_the_servers_log_fails_the_test() -> None:
    assert Report(log_errors=["2026 ERROR a task failed"]).failures
