"""Explanations in turn, as the engine's process does them."""

from collections.abc import Generator
from typing import Any

import pytest

from inference.jobs import Jobs


class Told(list[dict[str, Any]]):
    """What was answered."""

    def last_words(self) -> list[tuple[str, int]]:
        """Type and number of all that ends a job."""
        return [(each["type"], each["job"]) for each in self if each["type"] != "progress"]


def work(name: str, slices: int, seen: list[str]) -> Generator[float, None, dict[str, Any]]:
    for number in range(slices):
        seen.append(name)
        yield number / slices
    return {"type": "explained", "map": name}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def jobs(told: Told) -> Jobs:
    return Jobs(told.append)


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


def test_one_that_cannot_be_done_says_why_and_costs_the_others_nothing(
    jobs: Jobs, told: Told
) -> None:
    def refuse() -> Generator[float, None, dict[str, Any]]:
        yield 0.5
        raise ValueError("the caption has 3 words, none at 7")

    def break_() -> Generator[float, None, dict[str, Any]]:
        yield 0.5
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

    def hold() -> Generator[float, None, dict[str, Any]]:
        try:
            while True:
                yield 0.0
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


def test_how_far_it_is_is_told_but_not_each_slice(jobs: Jobs, told: Told) -> None:
    jobs.add(1, work("long", 1000, []))
    finish(jobs)

    progress = [each for each in told if each["type"] == "progress"]
    assert 1 <= len(progress) < 100
    assert all(each["job"] == 1 and 0 <= each["done"] <= 1 for each in progress)


def test_with_nothing_to_do_nothing_is_done(jobs: Jobs, told: Told) -> None:
    jobs.advance()

    assert not jobs
    assert not told
