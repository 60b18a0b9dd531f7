"""Scheduling of explanations and analyses in the worker."""

import gc
import io
import weakref
from typing import Any

import numpy as np
import pytest

from inference.engine.jobs import JobResult, JobScheduler, JobWork
from inference.engine.messages import pack, read_blocking
from inference.explanations import Map, RoughMap, read_progress
from inference.progress import Progress


class Sent(list[dict[str, Any]]):
    """The messages that were sent, and their payloads."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []

    def add(self, message: dict[str, Any], payload: bytes) -> None:
        """Record a message."""
        self.append(message)
        self.payloads.append(payload)

    def ends(self) -> list[tuple[str, int]]:
        """Type and number of each message that ends a job."""
        return [(each["type"], each["job"]) for each in self if each["type"] != "progress"]


def work(name: str, slices: int, seen: list[str]) -> JobWork:
    for number in range(slices):
        seen.append(name)
        yield Progress(number / slices, f"slice {number}")
    return JobResult({"type": "explained", "map": name}, name.encode())


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def jobs(sent: Sent) -> JobScheduler:
    return JobScheduler(sent.add)


def finish(jobs: JobScheduler) -> None:
    while jobs:
        jobs.run_slice()


def test_jobs_run_round_robin_and_a_short_one_does_not_wait_for_a_long_one(
    jobs: JobScheduler, sent: Sent
) -> None:
    seen: list[str] = []
    jobs.add(1, work("long", 50, seen))
    jobs.run_slice()
    jobs.add(2, work("short", 2, seen))
    jobs.add(3, work("shorter", 1, seen))
    finish(jobs)

    assert seen[:6] == ["long", "long", "short", "shorter", "long", "short"]
    assert sent.ends() == [("explained", 3), ("explained", 2), ("explained", 1)]
    assert [each["map"] for each in sent if "map" in each] == ["shorter", "short", "long"]
    assert list(filter(None, sent.payloads)) == [b"shorter", b"short", b"long"]


def test_explanations_and_analyses_take_turns_however_many_analyses_there_are(
    jobs: JobScheduler, sent: Sent
) -> None:
    seen: list[str] = []
    for number in range(3):
        jobs.add(number, work(f"analysis {number}", 5, seen), "analysis")
    jobs.run_slice()
    jobs.add(7, work("click", 3, seen))
    finish(jobs)

    assert seen[:7] == [
        "analysis 0",
        "click",
        "analysis 1",
        "click",
        "analysis 2",
        "click",
        "analysis 0",
    ]
    assert sent.ends()[0] == ("explained", 7)
    assert {number for _, number in sent.ends()} == {0, 1, 2, 7}


def test_a_job_that_fails_reports_why_and_does_not_affect_the_others(
    jobs: JobScheduler, sent: Sent
) -> None:
    def refuse() -> JobWork:
        yield Progress(0.5, "")
        raise ValueError("the caption has 3 words, none at index 7")

    def break_() -> JobWork:
        yield Progress(0.5, "")
        raise TypeError("an internal secret")

    jobs.add(1, refuse())
    jobs.add(2, break_())
    jobs.add(3, work("good", 3, []))
    finish(jobs)

    assert sent.ends() == [("failed", 1), ("failed", 2), ("explained", 3)]
    messages = [each["message"] for each in sent if each["type"] == "failed"]
    assert "none at index 7" in messages[0]
    assert "secret" not in messages[1]


def test_a_result_that_is_no_json_fails_its_job_alone() -> None:
    output = io.BytesIO()

    def send(message: dict[str, Any], payload: bytes) -> None:
        output.write(pack(message, payload))

    jobs = JobScheduler(send)

    def not_a_number() -> JobWork:
        yield Progress(0.5, "")
        return JobResult({"type": "analysed", "importance": float("nan")})

    jobs.add(1, not_a_number())
    jobs.add(2, work("good", 3, []))
    finish(jobs)

    output.seek(0)
    messages = []
    while output.tell() < len(output.getvalue()):
        messages.append(read_blocking(output)[0])
    ends = [(each["type"], each["job"]) for each in messages if each["type"] != "progress"]
    assert ends == [("failed", 1), ("explained", 2)]
    assert "nan" not in output.getvalue().decode().lower()


def test_a_cancelled_job_ends_at_once_and_is_reported(jobs: JobScheduler, sent: Sent) -> None:
    ended: list[bool] = []

    def hold() -> JobWork:
        try:
            while True:
                yield Progress(0.0, "")
        finally:
            ended.append(True)

    jobs.add(1, hold())
    jobs.add(2, work("other", 2, []))
    jobs.run_slice()
    jobs.cancel(1)
    assert ended
    assert sent.ends() == [("failed", 1)]
    finish(jobs)
    jobs.cancel(2)
    jobs.cancel(77)

    assert sent.ends() == [("failed", 1), ("explained", 2)]


def test_a_cancelled_analysis_frees_its_arrays(jobs: JobScheduler, sent: Sent) -> None:
    def inner(pixels: np.ndarray[Any, Any]) -> JobWork:
        gradient = np.ones_like(pixels)
        held.append(weakref.ref(gradient))
        while True:
            yield Progress(float(gradient[0]) / 2, "Attacking")

    def hold(pixels: np.ndarray[Any, Any]) -> JobWork:
        return (yield from inner(pixels))

    held: list[weakref.ref[np.ndarray[Any, Any]]] = []
    pixels = np.ones(1000, np.float32)
    held.append(weakref.ref(pixels))
    jobs.add(1, hold(pixels), "analysis")
    del pixels
    jobs.run_slice()
    gc.collect()
    assert all(each() is not None for each in held)
    jobs.cancel(1)

    assert [each() for each in held] == [None, None]
    assert sent.ends() == [("failed", 1)]
    assert not jobs


def test_a_job_that_fails_while_it_is_cancelled_is_reported_all_the_same(
    jobs: JobScheduler, sent: Sent
) -> None:
    def hold() -> JobWork:
        try:
            while True:
                yield Progress(0.0, "")
        finally:
            raise TypeError("an internal secret")

    jobs.add(1, hold(), "analysis")
    jobs.add(2, work("other", 2, []))
    jobs.run_slice()
    jobs.run_slice()
    jobs.cancel(1)
    finish(jobs)

    assert sent.ends() == [("failed", 1), ("explained", 2)]


def test_progress_is_reported_but_not_for_each_slice(jobs: JobScheduler, sent: Sent) -> None:
    jobs.add(1, work("long", 1000, []))
    finish(jobs)

    progress = [each for each in sent if each["type"] == "progress"]
    assert 1 <= len(progress) < 100
    assert all(each["job"] == 1 and 0 <= each["done"] <= 1 for each in progress)
    assert progress[0]["doing"] == "slice 0"


def test_every_rough_map_is_sent(jobs: JobScheduler, sent: Sent) -> None:
    def refine() -> JobWork:
        for number in range(3):
            yield RoughMap(number / 3, f"from {number}", Map(np.full((2, 2), number, np.float32)))
            yield Progress(number / 3, "")
        return JobResult({"type": "explained"})

    jobs.add(1, refine())
    finish(jobs)

    rough = [each for each in sent if "map" in each]
    assert [each["doing"] for each in rough] == ["from 0", "from 1", "from 2"]
    read = [read_progress(each) for each in rough]
    assert [each.map.values.max() for each in read if isinstance(each, RoughMap)] == [0, 1, 2]
    assert len(sent) == 4


def test_a_rough_map_that_is_not_finite_ends_its_job_only() -> None:
    output = io.BytesIO()
    sizes: list[int] = []
    closed: list[bool] = []
    jobs = JobScheduler(lambda message, payload: sizes.append(output.write(pack(message, payload))))

    def overflow() -> JobWork:
        try:
            yield RoughMap(0.5, "", Map(np.full((2, 2), np.nan, np.float32)))
        finally:
            closed.append(True)
        return JobResult({"type": "explained"})

    jobs.add(1, overflow())
    jobs.add(2, work("other", 1, []))
    finish(jobs)

    output.seek(0)
    messages = [read_blocking(output)[0] for _ in sizes]
    ends = [(each["type"], each["job"]) for each in messages if each["type"] != "progress"]
    assert ends == [("failed", 1), ("explained", 2)]
    assert closed


def test_without_jobs_nothing_is_run(jobs: JobScheduler, sent: Sent) -> None:
    jobs.run_slice()

    assert not jobs
    assert not sent
