"""What the engine's process has under way: a slice of one job, then of the next."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal

from inference.progress import Step

logger = logging.getLogger(__name__)


Line = Literal["explanation", "analysis"]
"""Short work that somebody waits for, and long work. The two take turns, however many there are of
either: a click on a word is answered quickly while analyses run."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a job ends with."""

    message: dict[str, Any]
    """The answer but for the job's number and cost."""
    payload: bytes = b""


JobWork = Generator[Step, None, Finished]
"""A job at work: yields how far it is."""


Answer = Callable[[dict[str, Any], bytes], None]
"""Takes a message and its payload."""


_PROGRESS_S = 0.25
"""Between two words on how far a job is."""


@dataclass(slots=True, eq=False)
class _Job:
    number: int
    work: JobWork
    spent_s: float = 0.0
    told_at: float = float("-inf")


class Jobs:
    """Jobs in turn, a slice each, so that a short one never waits for the end of a long one."""

    def __init__(self, answer: Answer) -> None:
        """Start with none; `answer` is handed progress, results and failures."""
        self._answer = answer
        self._next: deque[_Job] = deque()
        self._after: deque[_Job] = deque()
        self._lines: dict[Line, deque[_Job]] = {"explanation": self._next, "analysis": self._after}

    def __len__(self) -> int:
        return len(self._next) + len(self._after)

    def add(self, number: int, work: JobWork, line: Line = "explanation") -> None:
        """Put a job behind the others of its line."""
        self._lines[line].append(_Job(number, work))

    def cancel(self, number: int) -> None:
        """Drop a job with all that it holds, and say so, unless its last word was said already."""
        for line in self._lines.values():
            for job in [job for job in line if job.number == number]:
                line.remove(job)
                _close(job)
                self._fail(job, "it was cancelled")

    def advance(self) -> None:
        """Do a slice of the job whose turn it is, if there is one.

        Whatever goes wrong in a job ends that job alone.
        """
        line = self._next or self._after
        if not line:
            return
        if line is self._next:
            self._next, self._after = self._after, self._next
        job = line.popleft()
        begun = time.perf_counter()
        try:
            step = next(job.work)
        except StopIteration as end:
            self._finish(job, end.value, time.perf_counter() - begun)
        except ValueError as problem:
            self._fail(job, str(problem))
        except Exception:
            logger.exception("a job failed")
            self._fail(job, "something went wrong on the server; its log says what")
        else:
            job.spent_s += time.perf_counter() - begun
            line.append(job)
            self._tell(job, step)

    def _finish(self, job: _Job, finished: Finished, last_s: float) -> None:
        took_ms = 1e3 * (job.spent_s + last_s)
        answer = {**finished.message, "job": job.number, "took_ms": took_ms}
        self._answer(answer, finished.payload)

    def _fail(self, job: _Job, message: str) -> None:
        self._answer({"type": "failed", "job": job.number, "message": message}, b"")

    def _tell(self, job: _Job, step: Step) -> None:
        now = time.monotonic()
        if now - job.told_at >= _PROGRESS_S:
            job.told_at = now
            far = {"done": round(step.done, 4), "doing": step.doing}
            self._answer({"type": "progress", "job": job.number, **far}, b"")


def _close(job: _Job) -> None:
    try:
        job.work.close()
    except Exception:
        logger.exception("a job failed when it was cancelled")
