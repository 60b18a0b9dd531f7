"""Requests for captions, in the order in which they come: several at once where several wait."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from inference.captioning import View

_LARGEST_BATCH = 4
"""Pictures that are captioned together: more would make the first of them wait too long."""


Caption = dict[str, Any]
"""The process's answer for one picture."""


AskFor = Callable[[dict[str, Any], bytes], Awaitable[list[Caption]]]
"""Has the process caption one batch, given the request and its pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    view: View
    beam_width: int | None
    answer: asyncio.Future[Caption]


class CaptionRequests:
    """What waits for the process, and the one batch that it has."""

    def __init__(self, ask: AskFor, failure: type[Exception]) -> None:
        """Answer requests by `ask`, which raises `failure` when there is no answer."""
        self._ask_for, self._failure = ask, failure
        self._waiting: list[_Request] = []
        self._asking: asyncio.Task[None] | None = None

    async def follow(self, view: View, beam_width: int | None) -> Caption:
        """Wait for the answer for one picture; raises what `ask` raises."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(view, beam_width, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="engine requests")
        answered: Caption = await answer
        return answered

    async def stop(self) -> None:
        """Leave all that wait without an answer."""
        if self._asking:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        self._asking = None
        _settle(self._waiting, self._failure("the engine was stopped"))
        self._waiting = []

    async def _ask(self) -> None:
        """Have everything answered that waits.

        In a task of its own: a caller that gives up leaves the exchange whole, as half of it would
        garble the next.
        """
        while batch := self._take():
            outcome: list[Caption] | Exception = self._failure("the engine was stopped")
            try:
                outcome = await self._ask_for(*_joined(batch))
            except self._failure as problem:
                outcome = problem
            finally:
                _settle(batch, outcome)

    def _take(self) -> list[_Request]:
        """Take the requests that are to be answered next: of one beam width, and still wanted."""
        wanted = [request for request in self._waiting if not request.answer.done()]
        together = [r for r in wanted if r.beam_width == wanted[0].beam_width][:_LARGEST_BATCH]
        self._waiting = [request for request in wanted if request not in together]
        return together


def _joined(batch: list[_Request]) -> tuple[dict[str, Any], bytes]:
    views = [request.view for request in batch]
    streams = [
        {
            "anchor": view.anchor and view.anchor.to_json(),
            "afresh": view.afresh,
            "maps": view.maps,
        }
        for view in views
    ]
    message = {
        "shapes": [view.image.shape for view in views],
        "streams": streams,
        "beam_width": batch[0].beam_width,
    }
    return message, b"".join(view.image.tobytes() for view in views)


def _settle(requests: list[_Request], outcome: list[Caption] | Exception) -> None:
    for place, request in enumerate(requests):
        if request.answer.done():
            continue
        if isinstance(outcome, Exception):
            request.answer.set_exception(outcome)
        else:
            request.answer.set_result(outcome[place])
