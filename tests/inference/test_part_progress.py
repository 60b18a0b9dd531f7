import time
from collections.abc import Generator

import pytest

from inference.progress import Part, PartProgress, Step


def slices(count: int) -> Generator[None, None, int]:
    for _ in range(count):
        yield
    return count


def followed(progress: PartProgress, name: str, count: int) -> list[Step]:
    return list(progress.follow(name, slices(count)))


def test_parts_count_by_the_time_that_they_take() -> None:
    progress = PartProgress({"long": Part("Long", 3.0, 3), "short": Part("Short", 1.0, 2)})

    shares = [step.done for step in followed(progress, "long", 3) + followed(progress, "short", 2)]

    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 0.875])


@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_part_of_other_slices_than_expected_ends_where_the_next_begins(count: int) -> None:
    progress = PartProgress({"first": Part("First", 1.0, 4), "then": Part("Then", 1.0, 1)})

    shares = [step.done for step in followed(progress, "first", count)]

    assert max([0.0, *shares]) <= 0.5
    assert followed(progress, "then", 1) == [Step(0.5, "Then")]


def test_only_the_works_own_time_is_counted() -> None:
    progress = PartProgress({"part": Part("Part", 1.0, 3)})
    for _ in progress.follow("part", slices(3)):
        time.sleep(0.1)

    assert 0 < progress.took_s < 0.2
