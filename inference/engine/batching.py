"""Batching of caption requests: frames that arrive while the worker is busy are captioned together.

Requests are answered in the order in which they arrive; those in the background after the others.
A frame that has waited for too long is dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from inference.captioning import FrameRequest
from inference.engine.service import FrameTooOld

_MAX_PASSES = 4
"""Full batches for which requests in the background wait; then one of them takes a place."""

FrameMessage = dict[str, Any]
"""The worker's result for one frame."""

SendBatch = Callable[[dict[str, Any], bytes], Awaitable[list[FrameMessage]]]
"""Captions one batch, given the request and its pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    request: FrameRequest
    beam_width: int | None
    result: asyncio.Future[FrameMessage]
    deadline: float
    """When it is too old, by the event loop's clock."""


class CaptionBatcher:
    """A queue of caption requests, with one batch at a time in the worker."""

    max_batch = 1
    """Frames that are captioned together, see `EngineInfo.max_batch`."""

    def __init__(self, send_batch: SendBatch, failure: type[Exception]) -> None:
        """Answer requests by `send_batch`, which raises `failure` when there is no result."""
        self._send_batch, self._failure = send_batch, failure
        self._queue: list[_Pending] = []
        self._passes = 0
        self._task: asyncio.Task[None] | None = None

    async def caption(self, request: FrameRequest, beam_width: int | None) -> FrameMessage:
        """Queue a frame and wait for its result.

        Raises:
            FrameTooOld: If it waited for too long.
            Exception: What `send_batch` raises.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[FrameMessage] = loop.create_future()
        wait_s = float("inf") if request.max_wait_s is None else request.max_wait_s
        self._queue.append(_Pending(request, beam_width, result, loop.time() + wait_s))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name="engine requests")
        return await result

    async def stop(self) -> None:
        """Fail all pending requests."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        _resolve(self._queue, self._failure("the engine was stopped"))
        self._queue = []

    async def _drain(self) -> None:
        """Caption the queue, batch by batch.

        Runs in a task of its own, so that a cancelled caller does not interrupt an exchange with
        the worker, which would garble the next one.
        """
        while batch := self._next_batch():
            outcome: list[FrameMessage] | Exception = self._failure("the engine was stopped")
            try:
                outcome = await self._send_batch(*_join(batch))
            except self._failure as problem:
                outcome = problem
            finally:
                _resolve(batch, outcome)

    def _next_batch(self) -> list[_Pending]:
        """Take the next requests with one beam width; drop those cancelled or too old."""
        now = asyncio.get_running_loop().time()
        too_old = [pending for pending in self._queue if pending.deadline < now]
        _resolve(too_old, FrameTooOld("the frame waited for too long; a newer one is due"))
        active = [pending for pending in self._queue if not pending.result.done()]
        # Stable, so each kind stays in its order.
        ordered = sorted(active, key=lambda pending: pending.request.background)
        waiting = next((each for each in ordered if each.request.background), None)
        if waiting and self._passes >= _MAX_PASSES:
            ordered.remove(waiting)
            ordered.insert(0, waiting)
        same_width = [each for each in ordered if each.beam_width == ordered[0].beam_width]
        batch = same_width[: self.max_batch]
        self._passes = self._passes + 1 if waiting and waiting not in batch else 0
        self._queue = [pending for pending in active if pending not in batch]
        return batch


def _join(batch: list[_Pending]) -> tuple[dict[str, Any], bytes]:
    requests = [pending.request for pending in batch]
    message = {
        "frames": [
            {
                "shape": request.image.shape,
                "state": request.state and request.state.to_json(),
                "refresh": request.refresh,
                "maps": request.maps,
            }
            for request in requests
        ],
        "beam_width": batch[0].beam_width,
    }
    return message, b"".join(request.image.tobytes() for request in requests)


def _resolve(batch: list[_Pending], outcome: list[FrameMessage] | Exception) -> None:
    for place, pending in enumerate(batch):
        if pending.result.done():
            continue
        if isinstance(outcome, Exception):
            pending.result.set_exception(outcome)
        else:
            pending.result.set_result(outcome[place])
