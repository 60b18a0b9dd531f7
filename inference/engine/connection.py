"""The engine's end of the connection to its worker.

The engine sends `caption` (a batch of frames), `explain`, `check` and `analyse` (jobs, by number)
and `cancel`. The worker replies with `captions` to each batch, in order, and at any time with a
job's `progress` and with its end: `explained`, `checked`, `analysed` or `failed`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from inference.engine.messages import Message, pack_head, read
from inference.explanations import read_progress
from inference.progress import ProgressCallback


class ConnectionClosed(RuntimeError):
    """The worker will send no more results; the message gives the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    result: asyncio.Future[Message]
    progress: ProgressCallback | None


class WorkerConnection:
    """Requests to a worker and its results: one batch of captions at a time, and any jobs."""

    def __init__(self, process: asyncio.subprocess.Process, timeout_s: float) -> None:
        """Connect to a worker that has reported that it is ready; `listen` reads its results.

        Args:
            process: Its standard input and output are pipes.
            timeout_s: A worker with requests to answer that is silent for longer has hung.
        """
        assert process.stdin and process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self._timeout_s = timeout_s
        self._timeout: asyncio.Timeout | None = None
        self._captions: asyncio.Future[list[dict[str, Any]]] | None = None
        self._jobs: dict[int, _Job] = {}
        self._last_number = 0
        self._closed_because = ""

    @property
    def jobs(self) -> int:
        """Number of the worker's jobs, including those that it has yet to cancel."""
        return len(self._jobs)

    async def listen(self) -> None:
        """Read the worker's results until it exits.

        Raises:
            TimeoutError: If it hangs.
        """
        reason = "the engine was stopped"
        try:
            while True:
                await self._receive()
        except TimeoutError:
            reason = "the captioner's process hung and was ended"
            raise
        except (OSError, EOFError):
            reason = "the captioner's process ended"
        finally:
            self._close(reason)

    async def caption(self, request: dict[str, Any], pixels: bytes) -> list[dict[str, Any]]:
        """Caption a batch of frames; one batch at a time.

        Raises:
            ConnectionClosed: If the worker exited or hung.
        """
        captions: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self._send({"type": "caption", **request}, pixels)
        self._captions = captions
        return await captions

    async def run_job(
        self, request: dict[str, Any], pixels: bytes, progress: ProgressCallback | None
    ) -> Message:
        """Run a job; cancelling this cancels the job.

        Returns:
            The message that ends the job, which is its result or `failed`.

        Raises:
            ConnectionClosed: If the worker exited or hung.
        """
        self._last_number += 1
        number = self._last_number
        self._send({**request, "job": number}, pixels)
        job = self._jobs[number] = _Job(asyncio.get_running_loop().create_future(), progress)
        try:
            return await job.result
        except asyncio.CancelledError:
            if number in self._jobs and not self._closed_because:
                self._send({"type": "cancel", "job": number})
            raise

    def _send(self, message: dict[str, Any], payload: bytes = b"") -> None:
        """Write a message to the pipe; its buffer is bounded by the limits on batches and jobs."""
        if self._closed_because:
            raise ConnectionClosed(self._closed_because)
        # Two writes, as joining would copy the payload: the frames of a stream are 12 MB.
        self._stdin.write(pack_head(message, len(payload)))
        self._stdin.write(payload)
        if self._timeout and self._timeout.when() is None:
            self._timeout.reschedule(self._deadline())

    async def _receive(self) -> None:
        pending = self._captions is not None or self._jobs
        async with asyncio.timeout_at(self._deadline() if pending else None) as self._timeout:
            message, payload = await read(self._stdout)
        if message["type"] == "captions":
            captions, self._captions = self._captions, None
            if captions and not captions.done():
                captions.set_result(message["captions"])
        elif message["type"] == "progress":
            job = self._jobs[message["job"]]
            if job.progress and not job.result.done():
                job.progress(read_progress(message))
        else:
            result = self._jobs.pop(message["job"]).result
            if not result.done():
                result.set_result((message, payload))

    def _deadline(self) -> float:
        """When a worker with pending requests that stays silent is considered hung."""
        return asyncio.get_running_loop().time() + self._timeout_s

    def _close(self, reason: str) -> None:
        self._closed_because = reason
        for result in [self._captions, *(job.result for job in self._jobs.values())]:
            if result and not result.done():
                result.set_exception(ConnectionClosed(reason))
