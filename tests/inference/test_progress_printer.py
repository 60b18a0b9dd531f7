from collections.abc import Generator

from inference.progress import ProgressPrinter, Step, followed


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_says_what_is_done_and_what_is_left() -> None:
    clock, told = _Clock(), list[str]()
    progress = ProgressPrinter(told.append, 2, clock)

    progress.begin("Grad-CAM")
    progress.begin("how easily it is fooled")
    clock.now += 10
    progress.at(0.25, "Searching")
    clock.now += 90
    progress.at(0.5)

    assert told == [
        "Computing 1 of 2: Grad-CAM ...",
        "Computing 2 of 2: how easily it is fooled ...",
        "  25% done, about 30 s left: Searching",
        "  50% done, about 1 min 40 s left",
    ]


def test_what_is_quick_needs_no_lines() -> None:
    clock, told = _Clock(), list[str]()
    progress = ProgressPrinter(told.append, 1, clock)
    progress.begin("Grad-CAM")
    for share in range(100):
        clock.now += 0.02
        progress.at(share / 100)

    assert len(told) == 1


def test_work_that_is_followed_is_a_share_of_its_part() -> None:
    clock, told = _Clock(), list[str]()
    progress = ProgressPrinter(told.append, 1, clock)
    progress.begin("two maps")

    def work() -> Generator[float | Step, None, str]:
        clock.now += 4
        yield 0.5
        clock.now += 4
        yield Step(1.0, "the end")
        return "made"

    assert followed(work(), progress, 0.5, 1.0) == "made"
    assert told[1:] == ["  75% done, about 1 s left", "  100% done, about 0 s left: the end"]
