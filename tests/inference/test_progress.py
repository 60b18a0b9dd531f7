import time
from collections.abc import Generator

import pytest

from inference.progress import (
    Progress,
    ProgressPrinter,
    Stage,
    StagedProgress,
    TimeLeft,
    run_with_progress,
)


def slices(count: int) -> Generator[None, None, int]:
    for _ in range(count):
        yield
    return count


def shares(*values: float) -> Generator[float, None, str]:
    yield from values
    return "result"


def run(progress: StagedProgress, name: str, count: int) -> list[Progress]:
    return list(progress.run(name, slices(count)))


def test_stages_are_weighted_by_their_time() -> None:
    progress = StagedProgress({"long": Stage("Long", 3.0, 3), "short": Stage("Short", 1.0, 2)})

    done = [each.done for each in run(progress, "long", 3) + run(progress, "short", 2)]

    assert done == pytest.approx([0, 0.25, 0.5, 0.75, 0.875])


@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_stage_with_an_unexpected_number_of_slices_ends_where_the_next_begins(count: int) -> None:
    progress = StagedProgress({"first": Stage("First", 1.0, 4), "then": Stage("Then", 1.0, 1)})

    done = [each.done for each in run(progress, "first", count)]

    assert max([0.0, *done]) <= 0.5
    assert run(progress, "then", 1) == [Progress(0.5, "Then")]


def test_stages_may_yield_their_own_share() -> None:
    progress = StagedProgress({"first": Stage("First", 3.0), "then": Stage("Then", 1.0)})

    done = [*progress.run("first", shares(0.0, 0.5, 1.0)), *progress.run("then", shares(0.5))]

    assert [each.done for each in done] == pytest.approx([0, 0.375, 0.75, 0.875])
    assert done[-1].doing == "Then"


def test_the_cost_of_a_later_stage_can_only_be_lowered() -> None:
    progress = StagedProgress({"first": Stage("First", 1.0), "then": Stage("Then", 3.0)})
    (first,) = progress.run("first", shares(1.0))

    progress.lower_cost("then", 9.0)
    (same,) = progress.run("then", shares(0.0))
    assert same.done == first.done == 0.25

    progress = StagedProgress({"first": Stage("First", 1.0), "then": Stage("Then", 3.0)})
    list(progress.run("first", shares(1.0)))
    progress.lower_cost("then", 1.0)
    (lowered,) = progress.run("then", shares(0.0))
    assert lowered.done == 0.5


def test_only_the_works_own_time_is_counted() -> None:
    progress = StagedProgress({"stage": Stage("Stage", 1.0, 3)})
    for _ in progress.run("stage", slices(3)):
        time.sleep(0.1)

    assert 0 < progress.took_s < 0.2


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_printer_writes_what_is_done_and_what_is_left() -> None:
    clock, lines = _Clock(), list[str]()
    printer = ProgressPrinter(lines.append, 3, clock)

    printer.begin("Grad-CAM")
    printer.begin("robustness")
    clock.now += 10
    printer.update(0.25, "Searching")
    clock.now += 10
    printer.update(0.5)
    # It was slower than expected: the time left does not rise.
    clock.now += 80
    printer.update(0.6)
    printer.begin("concepts")
    clock.now += 100
    printer.update(0.5)

    assert lines == [
        "Computing 1 of 3: Grad-CAM ...",
        "Computing 2 of 3: robustness ...",
        "  25% done, about 30 s left: Searching",
        "  50% done, about 20 s left",
        "  60% done, about 20 s left",
        "Computing 3 of 3: concepts ...",
        "  50% done, about 1 min 40 s left",
    ]


def test_the_time_left_is_estimated_from_the_time_taken_and_never_rises() -> None:
    left = TimeLeft()

    taken = [(0.0, 1.0), (0.02, 2.0), (0.1, 3.0), (0.1, 6.0), (0.25, 8.0), (0.9, 18.0), (1.0, 19.0)]
    assert [left.estimate(done, elapsed_s) for done, elapsed_s in taken] == [
        *(None, None),
        *(27.0, 27.0, 24.0, 2.0, 0.0),
    ]


def test_the_printer_writes_no_progress_of_quick_parts() -> None:
    clock, lines = _Clock(), list[str]()
    printer = ProgressPrinter(lines.append, 1, clock)
    printer.begin("Grad-CAM")
    for share in range(100):
        clock.now += 0.02
        printer.update(share / 100)

    assert len(lines) == 1


def test_work_is_reported_as_a_share_of_the_printers_part() -> None:
    clock, lines = _Clock(), list[str]()
    printer = ProgressPrinter(lines.append, 1, clock)
    printer.begin("two maps")

    def work() -> Generator[float | Progress, None, str]:
        clock.now += 4
        yield 0.5
        clock.now += 4
        yield Progress(1.0, "the end")
        return "result"

    assert run_with_progress(work(), printer, 0.5, 1.0) == "result"
    assert lines[1:] == ["  75% done, about 1 s left", "  100% done, about 0 s left: the end"]
