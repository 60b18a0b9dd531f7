"""Whether an endpoint can be sent a frame now: pauses after failures, and the requests at once."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from inference.endpoints.client import Endpoint, EndpointError
from inference.engine import EngineState, EngineUnavailable

_LOG_INTERVAL_S = 60.0
_JITTER = 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long captions pause after failures, in seconds."""

    first_s: float = 1.0
    """After the first failure; it doubles with each further one."""
    longest_s: float = 60.0
    idle_s: float = 15.0
    """After a pause, without a frame to try the endpoint with, it counts as available again."""


class Availability:
    """The state of an endpoint, as its answers and failures change it.

    After a failure captions pause, longer each time. Then one frame is tried: an answer ends the
    pause, a failure starts the next one.
    """

    def __init__(self, endpoint: Endpoint, pauses: Pauses, max_failures: int | None) -> None:
        """Start closed; `open` opens it.

        Args:
            endpoint: Whose availability this is.
            pauses: Pauses after failures.
            max_failures: After so many failures in a row it gives up, also if the first request
                fails. Unlimited if None.
        """
        self._endpoint, self._pauses, self._max_failures = endpoint, pauses, max_failures
        self._slots = asyncio.Semaphore(endpoint.requests)
        self._event = asyncio.Event()
        self._listeners: set[Callable[[], None]] = set()
        self._tries_next = False
        """Whether the pause is over, so that the next frame is tried."""
        self._timer: asyncio.TimerHandle | None = None
        self._changed_at = float("-inf")
        """When captions were last paused, or the settings changed. The outcome of a request that
        was sent earlier changes nothing."""
        self._failures, self._has_succeeded = 0, False
        self._logged_at: float | None = None
        self.state, self.message = EngineState.STARTING, "The captioner is starting."

    @property
    def accepts(self) -> bool:
        """Whether a frame can be sent now."""
        is_open = self.state is EngineState.READY or self._tries_next
        return is_open and not self._slots.locked()

    def open(self, endpoint: Endpoint) -> None:
        """Count an endpoint as available, until a request fails."""
        self._endpoint, self._slots = endpoint, asyncio.Semaphore(endpoint.requests)
        self._changed_at, self._failures = time.monotonic(), 0
        self._set_ready()

    def close(self) -> None:
        """Accept no more frames."""
        self._cancel_timer()
        self._change(EngineState.STARTING, "The server is being stopped.")

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener at each change of the state; return a function that unsubscribes it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def wait(self) -> None:
        """Wait until a frame is accepted.

        Raises:
            EngineUnavailable: If it has given up, with `max_failures`.
        """
        await self._event.wait()
        if self._has_given_up:
            raise EngineUnavailable(self.message)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Occupy one of the requests at once, as soon as one is free."""
        slots = self._slots
        async with slots:
            self._update()
            yield
        self._update()

    @asynccontextmanager
    async def caption(self, *, background: bool = False) -> AsyncIterator[None]:
        """Send a frame within the context; its outcome changes the state.

        Args:
            background: Whether it is no frame of a stream. Its failure then pauses no stream,
                unless the endpoint asks for a pause: the model may refuse this very image.

        Raises:
            EngineUnavailable: If no frame is accepted now, or the context raised an EndpointError.
        """
        if not self.accepts or (background and self.state is EngineState.PAUSED):
            raise EngineUnavailable(self.message or "The endpoint is busy with other frames.")
        is_trial, sent_at = self._tries_next, time.monotonic()
        if is_trial:
            self._cancel_timer()
        try:
            async with self.slot():
                yield
        except EndpointError as problem:
            if sent_at >= self._changed_at and (problem.retry_after_s or not background):
                self._pause(problem)
            raise EngineUnavailable(self.message or as_sentence(str(problem))) from problem
        except BaseException:
            # The trial was cancelled without an outcome.
            if is_trial and self.state is EngineState.PAUSED:
                self._end_pause()
            raise
        if sent_at >= self._changed_at:
            self._resume()

    @property
    def _has_given_up(self) -> bool:
        return self._max_failures is not None and (
            self._failures >= self._max_failures or (not self._has_succeeded and self._failures > 0)
        )

    def _pause(self, problem: EndpointError) -> None:
        """Pause: for longer after each failure, and for as long as the endpoint asks."""
        self._failures += 1
        self._changed_at = time.monotonic()
        self._cancel_timer()
        if self._has_given_up:
            self._change(EngineState.PAUSED, as_sentence(str(problem)))
            return
        doubled_s = self._pauses.first_s * 2 ** min(self._failures - 1, 20)
        pause_s = min(doubled_s, self._pauses.longest_s) * random.uniform(1 - _JITTER, 1 + _JITTER)
        self._timer = asyncio.get_running_loop().call_later(
            max(pause_s, problem.retry_after_s or 0.0), self._end_pause
        )
        self._log(problem)
        self._change(EngineState.PAUSED, as_sentence(f"captions paused: {problem}"))

    def _end_pause(self) -> None:
        """Let the next frame be tried."""
        self._tries_next = True
        # Without any stream nobody tries, and a server that is not ready may get no stream.
        self._timer = asyncio.get_running_loop().call_later(self._pauses.idle_s, self._set_ready)
        self._update()

    def _resume(self) -> None:
        self._failures, self._has_succeeded = 0, True
        if self._logged_at is not None and self.state is EngineState.PAUSED:
            logger.info("endpoint %s answers again", self._endpoint.name)
            self._logged_at = None
        self._set_ready()

    def _set_ready(self) -> None:
        self._cancel_timer()
        self._change(EngineState.READY, "")

    def _cancel_timer(self) -> None:
        self._tries_next = False
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _log(self, problem: EndpointError) -> None:
        """Log a failure: the first one, and another one every minute."""
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = now
            name, host = self._endpoint.name, self._endpoint.host
            logger.warning("captions paused: endpoint %s at %s: %s", name, host, problem)

    def _change(self, state: EngineState, message: str) -> None:
        is_new = (state, message) != (self.state, self.message)
        self.state, self.message = state, message
        self._update()
        for listener in list(self._listeners) if is_new else ():
            listener()

    def _update(self) -> None:
        """Wake those that wait to send a frame, or let them wait."""
        if self.accepts or self._has_given_up:
            self._event.set()
        else:
            self._event.clear()


def as_sentence(text: str) -> str:
    """Return text with a capital letter and a full stop."""
    end = "" if text[-1] in ".!?…" else "."
    return text[0].upper() + text[1:] + end
