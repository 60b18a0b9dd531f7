"""The worker's jobs, run in turn: one slice of a job, then one of the next."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal

from inference.explanations import RoughMap
from inference.progress import Progress

logger = logging.getLogger(__name__)

JobKind = Literal["explanation", "analysis"]
"""Short jobs that a user waits for, and long ones. The two kinds take turns however many jobs there
are of each, so a click on a word is answered quickly while analyses run."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job returns."""

    message: dict[str, Any]
    """The message to send, without the job's number and cost."""
    payload: bytes = b""


JobWork = Generator[Progress, None, JobResult]
"""A job's work: yields its progress between slices."""

Send = Callable[[dict[str, Any], bytes], None]
"""Sends a message and its payload; raises ValueError if the message has no JSON."""

_FAILED = "something went wrong on the server; see its log"

_PROGRESS_INTERVAL_S = 0.25
"""Between two progress messages of a job."""


@dataclass(slots=True, eq=False)
class _Job:
    number: int
    work: JobWork
    spent_s: float = 0.0
    reported_at: float = float("-inf")


class JobScheduler:
    """Runs jobs round-robin by slices, so that short ones do not wait for the end of long ones."""

    def __init__(self, send: Send) -> None:
        """Create it without jobs; `send` is called with progress, results and failures."""
        self._send = send
        # Swapped after each slice: the queue whose turn it is, and the other one.
        self._next: deque[_Job] = deque()
        self._after: deque[_Job] = deque()
        self._queues: dict[JobKind, deque[_Job]] = {
            "explanation": self._next,
            "analysis": self._after,
        }

    def __len__(self) -> int:
        return len(self._next) + len(self._after)

    def add(self, number: int, work: JobWork, kind: JobKind = "explanation") -> None:
        """Append a job to the queue of its kind."""
        self._queues[kind].append(_Job(number, work))

    def cancel(self, number: int) -> None:
        """Close a job, free what it holds and report it as failed; no-op if it has ended."""
        for queue in self._queues.values():
            for job in [job for job in queue if job.number == number]:
                queue.remove(job)
                _close(job)
                self._fail(job, "it was cancelled")

    def run_slice(self) -> None:
        """Run a slice of the next job, if there is one.

        An error in a job ends that job only.
        """
        queue = self._next or self._after
        if not queue:
            return
        if queue is self._next:
            self._next, self._after = self._after, self._next
        job = queue.popleft()
        begun = time.perf_counter()
        try:
            progress = next(job.work)
        except StopIteration as end:
            self._finish(job, end.value, time.perf_counter() - begun)
        except ValueError as problem:
            self._fail(job, str(problem))
        except Exception:
            logger.exception("a job failed")
            self._fail(job, _FAILED)
        else:
            job.spent_s += time.perf_counter() - begun
            if self._report(job, progress):
                queue.append(job)

    def _finish(self, job: _Job, result: JobResult, last_slice_s: float) -> None:
        took_ms = 1e3 * (job.spent_s + last_slice_s)
        message = {**result.message, "job": job.number, "took_ms": took_ms}
        try:
            self._send(message, result.payload)
        except ValueError:
            logger.exception("a job's result cannot be sent")
            self._fail(job, _FAILED)

    def _fail(self, job: _Job, message: str) -> None:
        self._send({"type": "failed", "job": job.number, "message": message}, b"")

    def _report(self, job: _Job, progress: Progress) -> bool:
        """Send the progress if it is due; return whether the job can go on."""
        now = time.monotonic()
        # A rough map is sent at once: methods yield only a few of them.
        if not isinstance(progress, RoughMap) and now - job.reported_at < _PROGRESS_INTERVAL_S:
            return True
        job.reported_at = now
        try:
            self._send({"type": "progress", "job": job.number, **progress.to_json()}, b"")
        except ValueError:
            logger.exception("a job's progress cannot be sent")
            _close(job)
            self._fail(job, _FAILED)
            return False
        return True


def _close(job: _Job) -> None:
    try:
        job.work.close()
    except Exception:
        logger.exception("a job failed when it was cancelled")
