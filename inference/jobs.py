"""The explanations that the engine's process has under way: a slice of one, then of the next."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

JobWork = Generator[float, None, dict[str, Any]]
"""A job at work: yields how much of it is done, in 0..1; returns the answer but for its number."""

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

    def __init__(self, answer: Callable[[dict[str, Any]], None]) -> None:
        """Start with none; `answer` is handed progress, results and failures."""
        self._answer = answer
        self._waiting: deque[_Job] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, number: int, work: JobWork) -> None:
        """Put a job behind the others."""
        self._waiting.append(_Job(number, work))

    def cancel(self, number: int) -> None:
        """Drop a job, and say so, unless its last word was said already."""
        for job in [job for job in self._waiting if job.number == number]:
            self._waiting.remove(job)
            job.work.close()
            self._fail(job, "it was cancelled")

    def advance(self) -> None:
        """Do a slice of the job whose turn it is, if there is one.

        Whatever goes wrong in a job ends that job alone.
        """
        if not self._waiting:
            return
        job = self._waiting.popleft()
        begun = time.perf_counter()
        try:
            done = next(job.work)
        except StopIteration as end:
            took_ms = 1e3 * (job.spent_s + time.perf_counter() - begun)
            self._answer({**end.value, "job": job.number, "took_ms": took_ms})
        except ValueError as problem:
            self._fail(job, str(problem))
        except Exception:
            logger.exception("an explanation failed")
            self._fail(job, "something went wrong on the server; its log says what")
        else:
            job.spent_s += time.perf_counter() - begun
            self._waiting.append(job)
            self._tell(job, done)

    def _fail(self, job: _Job, message: str) -> None:
        self._answer({"type": "failed", "job": job.number, "message": message})

    def _tell(self, job: _Job, done: float) -> None:
        now = time.monotonic()
        if now - job.told_at >= _PROGRESS_S:
            job.told_at = now
            self._answer({"type": "progress", "job": job.number, "done": round(done, 4)})
