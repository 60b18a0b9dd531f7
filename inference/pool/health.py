"""The health of a captioner pool: which of its addresses answer, and what they say of captions."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from inference.engine import EngineInfo, EngineState, EngineUnavailable
from inference.pool.address import Address, AddressError, PoolState

_QUESTIONS = 3
"""For the state of an address, until one of its replicas is ready: they may answer in turn."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Watched:
    address: Address
    state: PoolState | None = None
    """As last answered; None while there is no answer."""
    problem: str = ""
    """Why there is none; empty before the first question was answered."""
    is_suspect: bool = False
    """Whether a request failed since the last answer."""
    ask: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to ask for the state at once."""


class PoolHealth:
    """Watches the addresses of a pool; it is available while a replica at any of them is."""

    info: EngineInfo | None = None
    """The captioner's properties; None until the pool has answered."""

    def __init__(self, poll_s: float, max_failures: int | None) -> None:
        """Start without addresses; see `PoolCaptioner` for the arguments."""
        self._poll_s, self._max_failures = poll_s, max_failures
        self._watched: list[_Watched] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: set[Callable[[], None]] = set()
        self._changed = asyncio.Event()
        """Replaced at each update."""
        self._failures = 0
        self.state, self.message = EngineState.STARTING, "The captioner pool has not answered yet."

    @property
    def accepts(self) -> bool:
        """Whether a frame can be sent now."""
        return any(each.state and each.state.accepts for each in self._watched)

    def start(self, addresses: Sequence[Address]) -> None:
        """Watch addresses from now on."""
        self._watched = [_Watched(address) for address in addresses]
        self._tasks = [
            asyncio.create_task(self._watch(each), name="pool health") for each in self._watched
        ]

    async def stop(self) -> None:
        """Stop watching, and close the addresses."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        watched, self._watched = self._watched, []
        for each in watched:
            await each.address.close()
        self._change(EngineState.STARTING, "The server is being stopped.")

    def choose(self, avoided: Collection[Address]) -> Address | None:
        """Return the address for a request; None if no address is known to have a captioner.

        Args:
            avoided: Those that have failed, which are chosen only if there are no others.
        """

        def rank(each: _Watched) -> tuple[bool, bool, int]:
            return each.address in avoided, each.is_suspect, each.address.in_flight

        usable = [each for each in self._watched if each.state and each.state.accepts]
        return min(usable, key=rank).address if usable else None

    def suspect(self, address: Address) -> None:
        """Ask an address for its state at once: a request to it has failed."""
        for each in self._watched:
            if each.address is address:
                each.is_suspect = True
                each.ask.set()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener at each change of the state; return a function that unsubscribes it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def wait_ready(self) -> None:
        """Wait until a frame can be sent.

        Raises:
            EngineUnavailable: If the pool was given up.
        """
        while not self.accepts:
            if self._has_given_up:
                raise EngineUnavailable(self.message)
            await self._changed.wait()

    async def wait_first(self) -> None:
        """Wait until a replica is ready.

        Raises:
            EngineUnavailable: If no address answers, or the captioner has failed.
        """
        while self.state is not EngineState.READY:
            if self.state is EngineState.PAUSED or all(each.problem for each in self._watched):
                raise EngineUnavailable(self.message)
            await self._changed.wait()

    @property
    def _has_given_up(self) -> bool:
        return self._max_failures is not None and self._failures >= self._max_failures

    async def _watch(self, watched: _Watched) -> None:
        """Ask an address for its state again and again, until cancelled."""
        while True:
            watched.ask.clear()
            try:
                watched.state = await _ask(watched.address)
            except AddressError as problem:
                self._fail(watched, str(problem))
            else:
                if watched.problem:
                    logger.info("captioner pool at %s answers again", watched.address.name)
                watched.problem, watched.is_suspect, self._failures = "", False, 0
            self._update()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await watched.ask.wait()

    def _fail(self, watched: _Watched, problem: str) -> None:
        if problem != watched.problem:
            logger.warning("captioner pool at %s: %s", watched.address.name, problem)
        watched.state, watched.problem = None, problem
        if all(each.problem for each in self._watched):
            self._failures += 1

    def _update(self) -> None:
        """Derive the state of the pool from those of its addresses."""
        answered = [each.state for each in self._watched if each.state]
        known = [each for each in answered if each.state is EngineState.READY] or answered
        if not known:
            if all(each.problem for each in self._watched):
                state = EngineState.PAUSED if self.info else EngineState.STARTING
                self._change(state, no_answer(self._watched[0].problem))
            return
        best = known[0]
        is_new = best.info is not None and best.info != self.info
        self.info = best.info or self.info
        self._change(best.state, best.message, is_new=is_new)

    def _change(self, state: EngineState, message: str, *, is_new: bool = False) -> None:
        is_new |= (state, message) != (self.state, self.message)
        self.state, self.message = state, message
        self._changed.set()
        self._changed = asyncio.Event()
        for listener in list(self._listeners) if is_new else ():
            listener()


def no_answer(reason: str) -> str:
    """Return a sentence for people: nothing answers, for this reason."""
    return f"No captioner of the pool answers: {reason}."


async def _ask(address: Address) -> PoolState:
    """Return the state of a replica that is ready, if one is among those that answer.

    Raises:
        AddressError: If there is no answer.
    """
    for _ in range(_QUESTIONS - 1):
        # A replica that is lost does not answer, but the next one may.
        with contextlib.suppress(AddressError):
            state = await address.state()
            if state.state is EngineState.READY:
                return state
    return await address.state()
