"""Explanations and analyses in turn, as the engine's process does them."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from inference.engine.jobs import Finished, Jobs, JobWork
from inference.progress import Step


class Told(list[dict[str, Any]]):
    """What was answered, but for the bytes that came with it."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []

    def take(self, message: dict[str, Any], payload: bytes) -> None:
        """Take an answer."""
        self.append(message)
        self.payloads.append(payload)

    def last_words(self) -> list[tuple[str, int]]:
        """Type and number of all that ends a job."""
        return [(each["type"], each["job"]) for each in self if each["type"] != "progress"]


def work(name: str, slices: int, seen: list[str]) -> JobWork:
    for number in range(slices):
        seen.append(name)
        yield Step(number / slices, f"slice {number}")
    return Finished({"type": "explained", "map": name}, name.encode())


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def jobs(told: Told) -> Jobs:
    return Jobs(told.take)


def finish(jobs: Jobs) -> None:
    while jobs:
        jobs.advance()


def test_each_has_a_slice_in_turn_and_a_short_one_does_not_wait_for_a_long_one(
    jobs: Jobs, told: Told
) -> None:
    seen: list[str] = []
    jobs.add(1, work("long", 50, seen))
    jobs.advance()
    jobs.add(2, work("short", 2, seen))
    jobs.add(3, work("shorter", 1, seen))
    finish(jobs)

    assert seen[:6] == ["long", "long", "short", "shorter", "long", "short"]
    assert told.last_words() == [("explained", 3), ("explained", 2), ("explained", 1)]
    assert [each["map"] for each in told if "map" in each] == ["shorter", "short", "long"]
    assert list(filter(None, told.payloads)) == [b"shorter", b"short", b"long"]


def test_explanations_and_analyses_take_turns_however_many_analyses_there_are(
    jobs: Jobs, told: Told
) -> None:
    seen: list[str] = []
    for number in range(3):
        jobs.add(number, work(f"analysis {number}", 5, seen), "analysis")
    jobs.advance()
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
    assert told.last_words()[0] == ("explained", 7)
    assert {number for _, number in told.last_words()} == {0, 1, 2, 7}


def test_one_that_cannot_be_done_says_why_and_costs_the_others_nothing(
    jobs: Jobs, told: Told
) -> None:
    def refuse() -> JobWork:
        yield Step(0.5, "")
        raise ValueError("the caption has 3 words, none at 7")

    def break_() -> JobWork:
        yield Step(0.5, "")
        raise TypeError("a secret of the inside")

    jobs.add(1, refuse())
    jobs.add(2, break_())
    jobs.add(3, work("good", 3, []))
    finish(jobs)

    assert told.last_words() == [("failed", 1), ("failed", 2), ("explained", 3)]
    messages = [each["message"] for each in told if each["type"] == "failed"]
    assert "none at 7" in messages[0]
    assert "secret" not in messages[1]


def test_one_that_is_cancelled_ends_at_once_with_a_last_word(jobs: Jobs, told: Told) -> None:
    ended: list[bool] = []

    def hold() -> JobWork:
        try:
            while True:
                yield Step(0.0, "")
        finally:
            ended.append(True)

    jobs.add(1, hold())
    jobs.add(2, work("other", 2, []))
    jobs.advance()
    jobs.cancel(1)
    assert ended
    assert told.last_words() == [("failed", 1)]
    finish(jobs)
    jobs.cancel(2)
    jobs.cancel(77)

    assert told.last_words() == [("failed", 1), ("explained", 2)]


def test_nothing_is_kept_of_an_analysis_that_is_cancelled(jobs: Jobs, told: Told) -> None:
    def inner(pixels: np.ndarray[Any, Any]) -> JobWork:
        gradient = np.ones_like(pixels)
        held.append(weakref.ref(gradient))
        while True:
            yield Step(float(gradient[0]) / 2, "Attacking")

    def hold(pixels: np.ndarray[Any, Any]) -> JobWork:
        return (yield from inner(pixels))

    held: list[weakref.ref[np.ndarray[Any, Any]]] = []
    pixels = np.ones(1000, np.float32)
    held.append(weakref.ref(pixels))
    jobs.add(1, hold(pixels), "analysis")
    del pixels
    jobs.advance()
    gc.collect()
    assert all(each() is not None for each in held)
    jobs.cancel(1)

    assert [each() for each in held] == [None, None]
    assert told.last_words() == [("failed", 1)]
    assert not jobs


def test_one_that_breaks_as_it_is_cancelled_has_its_last_word_all_the_same(
    jobs: Jobs, told: Told
) -> None:
    def hold() -> JobWork:
        try:
            while True:
                yield Step(0.0, "")
        finally:
            raise TypeError("a secret of the inside")

    jobs.add(1, hold(), "analysis")
    jobs.add(2, work("other", 2, []))
    jobs.advance()
    jobs.advance()
    jobs.cancel(1)
    finish(jobs)

    assert told.last_words() == [("failed", 1), ("explained", 2)]


def test_how_far_it_is_is_told_but_not_each_slice(jobs: Jobs, told: Told) -> None:
    jobs.add(1, work("long", 1000, []))
    finish(jobs)

    progress = [each for each in told if each["type"] == "progress"]
    assert 1 <= len(progress) < 100
    assert all(each["job"] == 1 and 0 <= each["done"] <= 1 for each in progress)
    assert progress[0]["doing"] == "slice 0"


def test_with_nothing_to_do_nothing_is_done(jobs: Jobs, told: Told) -> None:
    jobs.advance()

    assert not jobs
    assert not told
