"""The health of a captioner pool: which addresses and replicas answer, and what they say."""

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from inference.engine import EngineInfo, EngineState, EngineUnavailable
from inference.pool.address import Address, AddressError, PoolState
from inference.pool.directory import MAX_LISTED, ReplicaAddress

_QUESTIONS = 3
"""For the state of a proxy, until one of its replicas is ready: they may answer in turn."""
_CUT_S = 10.0
"""A replica that is live and has not answered for so long cannot be reached from here; the proxies
may reach it. One that is lost is no longer live by then."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Watched:
    address: Address
    state: PoolState | None = None
    """As last answered; None while there is no answer."""
    problem: str = ""
    """Why there is none; empty before the first question was answered."""
    answered_at: float = -math.inf
    """When there was an answer, by the monotonic clock."""
    is_suspect: bool = False
    """Whether a request failed since the last answer."""
    ask: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to ask for the state at once."""
    task: asyncio.Task[None] | None = None

    def is_cut(self, now: float) -> bool:
        return bool(self.problem) and now - self.answered_at > _CUT_S


class PoolHealth:
    """Watches the addresses of a pool, and the replicas that they list.

    The pool is available while a replica at any of them is.
    """

    info: EngineInfo | None = None
    """The captioner's properties; None until the pool has answered."""

    def __init__(
        self,
        poll_s: float,
        max_failures: int | None,
        connect: Callable[[ReplicaAddress], Address | None],
    ) -> None:
        """Start without addresses.

        Args:
            poll_s: See `PoolCaptioner`.
            max_failures: See `PoolCaptioner`.
            connect: Creates the client of a replica; returns None if it may not be connected to.
        """
        self._poll_s, self._max_failures, self._connect = poll_s, max_failures, connect
        self._proxies: list[_Watched] = []
        self._direct: dict[ReplicaAddress, _Watched] = {}
        self._retiring: dict[asyncio.Task[None], _Watched] = {}
        self._listeners: set[Callable[[], None]] = set()
        self._changed = asyncio.Event()
        """Replaced at each update."""
        self._failures = 0
        self.state, self.message = EngineState.STARTING, "The captioner pool has not answered yet."

    @property
    def accepts(self) -> bool:
        """Whether a frame can be sent now."""
        return any(each.state and each.state.accepts for each in self._watched)

    @property
    def _watched(self) -> list[_Watched]:
        return [*self._proxies, *self._direct.values()]

    def start(self, addresses: Sequence[Address]) -> None:
        """Watch addresses from now on."""
        self._proxies = [self._begin(address) for address in addresses]

    async def stop(self) -> None:
        """Stop watching, and close the addresses."""
        watched = [*self._watched, *self._retiring.values()]
        tasks = [*self._retiring, *(each.task for each in watched if each.task)]
        self._proxies, self._direct = [], {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in watched:
            await each.address.close()
        self._change(EngineState.STARTING, "The server is being stopped.")

    def choose(self, avoided: Collection[Address]) -> Address | None:
        """Return the address for a request; None if no address is known to have a captioner.

        The least busy replica of those that can be reached, and a proxy if there is none. While a
        live replica is out of reach, the proxies take their part of the requests.

        Args:
            avoided: Those that have failed, which are chosen only if there are no others.
        """
        now = time.monotonic()
        reaches_all = not any(each.is_cut(now) for each in self._direct.values())

        def rank(each: _Watched) -> tuple[bool, bool, bool, int, float]:
            address = each.address
            is_detour = reaches_all and not address.is_direct
            # At random, or else all clients would prefer the same replica.
            order = random.random()
            return address in avoided, each.is_suspect, is_detour, address.load, order

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

    def _begin(self, address: Address) -> _Watched:
        watched = _Watched(address)
        watched.task = asyncio.create_task(self._watch(watched), name="pool health")
        return watched

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
                watched.answered_at = time.monotonic()
                self._follow_list()
            self._update()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await watched.ask.wait()

    def _fail(self, watched: _Watched, problem: str) -> None:
        if problem != watched.problem:
            logger.warning("captioner pool at %s: %s", watched.address.name, problem)
        watched.state, watched.problem = None, problem
        if not watched.address.is_direct and all(each.problem for each in self._watched):
            self._failures += 1

    def _follow_list(self) -> None:
        """Watch the replicas that are listed by whoever answers, and no others."""
        states = [each.state for each in self._watched if each.state]
        listed = dict.fromkeys(replica for state in states for replica in state.replicas)
        for replica in self._direct.keys() - listed.keys():
            gone = self._direct.pop(replica)
            assert gone.task
            gone.task.cancel()
            # It may still answer what it was asked before.
            retiring = asyncio.create_task(gone.address.close_when_idle(), name="pool health")
            self._retiring[retiring] = gone
            retiring.add_done_callback(self._retiring.pop)
        for replica in listed:
            if replica not in self._direct and len(self._direct) < MAX_LISTED:
                address = self._connect(replica)
                if address is not None:
                    self._direct[replica] = self._begin(address)

    def _update(self) -> None:
        """Derive the state of the pool from those of its addresses."""
        answered = [each.state for each in self._watched if each.state]
        known = [each for each in answered if each.state is EngineState.READY] or answered
        if not known:
            if self._proxies and all(each.problem for each in self._watched):
                state = EngineState.PAUSED if self.info else EngineState.STARTING
                self._change(state, no_answer(self._proxies[0].problem))
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
    for _ in range(0 if address.is_direct else _QUESTIONS - 1):
        # A replica that is lost does not answer, but the next one may.
        with contextlib.suppress(AddressError):
            state = await address.state()
            if state.state is EngineState.READY:
                return state
    return await address.state()
