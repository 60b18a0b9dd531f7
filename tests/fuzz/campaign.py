"""So much generated input of each kind, and what came of it."""

import asyncio
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.bench.child import Child
from tests.fuzz.answering import Answering
from tests.fuzz.asking import Asker
from tests.fuzz.faults import FaultLog, holdings, settled
from tests.fuzz.messages import spoilt_message
from tests.fuzz.requests import spoilt_request
from tests.fuzz.sdps import real_offers, spoilt_sdp
from tests.fuzz.speaking import Speaker
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import surrounded

_SOURCES = ("peer", "peer", "demo")
_TOGETHER = 50
"""Messages between two pings."""
_AT_ONCE = 25
"""Requests."""
_TELL_S = 10.0
_WARM_UP = 0.3
"""Of the input: what is held after that is what is held for good."""
_SPARE = {"kilobytes": 30_000, "threads": 4, "tasks": 8, "descriptors": 8}
_MOST_FAULTS = 20


class TooManyFaults(Exception):
    """There is no point in going on."""


@dataclass(slots=True)
class Found:
    """What a campaign found."""

    tried: dict[str, int] = field(default_factory=dict)
    """How much input of each kind."""
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    """What became of it."""
    faults: list[str] = field(default_factory=list)
    """Each with the input that it came of, and how to have that made again."""


class Campaign:
    """Makes input from a seed: the same from the same, whatever else was made before."""

    def __init__(self, seed: int, first: int = 0, tell: Callable[[str], None] = print) -> None:
        """Make input from a number on, and tell how it goes."""
        self._seed, self._first, self._tell = seed, first, tell
        self._offers = real_offers()
        self.found = Found()

    async def offers(self, count: int) -> None:
        """Try offers in this process."""
        log, told = FaultLog(), time.monotonic()
        before: dict[str, int] = {}
        async with surrounded(ScriptedCaptions(sure("A dog runs."))) as shared:
            answering = Answering(shared)
            for number in self._numbers(count):
                rng = self._rng("offers", number)
                source, sdp = rng.choice(_SOURCES), spoilt_sdp(rng, self._offers)
                try:
                    await answering.check(sdp, source)
                except Exception as problem:
                    self._blame("offers", number, sdp, repr(problem))
                for fault in log.take():
                    self._blame("offers", number, sdp, fault)
                if number == self._first + int(count * _WARM_UP):
                    before = holdings()
                if time.monotonic() - told > _TELL_S:
                    told = time.monotonic()
                    self._tell(f"offers: {number - self._first} of {count}")
            left = await settled(before, _SPARE) if before else {}
        self._note("offers", count, {"answered": answering.answered, "refused": answering.refused})
        self._note_left("offers", left)

    async def messages(self, count: int, url: str, server: Child) -> None:
        """Try messages on a data channel of a server that runs."""
        async with Speaker(url) as speaker:
            before: dict[str, int] = {}
            numbers = self._numbers(count)
            for place in range(0, count, _TOGETHER):
                together = numbers[place : place + _TOGETHER]
                said = [spoilt_message(self._rng("messages", number)) for number in together]
                try:
                    await speaker.say(said)
                except Exception as problem:
                    self._blame("messages", together[0], said, repr(problem))
                    break
                for fault in (await server.ask(look=True))["faults"]:
                    self._blame("messages", together[0], said, f"in the server's log: {fault}")
                if place <= count * _WARM_UP:
                    before = (await server.ask(count=True))["held"]
            left = await self._settled(before, server)
        self._note("messages", count, speaker.heard)
        self._note_left("messages", left)

    async def requests(
        self, count: int, url: str, routes: list[tuple[str, str]], server: Child
    ) -> None:
        """Try HTTP requests on a server that runs."""
        asker, told = Asker(url), time.monotonic()
        before: dict[str, int] = {}
        numbers = self._numbers(count)
        for place in range(0, count, _AT_ONCE):
            together = {
                number: spoilt_request(self._rng("requests", number), routes, self._offers)
                for number in numbers[place : place + _AT_ONCE]
            }
            await asyncio.gather(
                *(self._ask(asker, number, request) for number, request in together.items())
            )
            if faults := (await server.ask(look=True))["faults"]:
                await self._find_culprits(asker, together, faults, server)
            if place <= count * _WARM_UP:
                before = (await server.ask(count=True))["held"]
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                self._tell(f"requests: {place} of {count}")
        left = await self._settled(before, server)
        self._note("requests", count, {str(k): v for k, v in sorted(asker.statuses.items())})
        self._note_left("requests", left)

    async def _ask(self, asker: Asker, number: int, request: bytes) -> None:
        try:
            await asker.ask(request)
        except Exception as problem:
            self._blame("requests", number, request, repr(problem))

    async def _find_culprits(
        self, asker: Asker, together: dict[int, bytes], faults: list[str], server: Child
    ) -> None:
        """Send requests one by one, to see which of them the log's faults came of."""
        found = False
        for number, request in together.items():
            await self._ask(asker, number, request)
            for fault in (await server.ask(look=True))["faults"]:
                found = True
                self._blame("requests", number, request, f"in the server's log: {fault}")
        if not found:
            self._blame("requests", min(together), together, f"in the server's log: {faults}")

    def _numbers(self, count: int) -> range:
        return range(self._first, self._first + count)

    def _rng(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{self._seed}/{kind}/{number}")

    async def _settled(self, before: dict[str, int], server: Child) -> dict[str, Any]:
        """As `faults.settled`, of the server."""
        return (await server.ask(before=before, spare=_SPARE))["left"] if before else {}

    def _note(self, kind: str, count: int, outcomes: dict[str, int]) -> None:
        self.found.tried[kind] = count
        self.found.outcomes[kind] = outcomes

    def _note_left(self, kind: str, left: dict[str, Any]) -> None:
        if left:
            self.found.faults.append(f"{kind}: left behind: {left}")

    def _blame(self, kind: str, number: int, said: object, problem: str) -> None:
        again = f"--seed {self._seed} --only {kind} --first {number}"
        shown = repr(said)
        shown = shown if kind == "offers" or len(shown) < 5000 else f"{shown[:5000]} ..."
        self.found.faults.append(f"{kind}: {problem}\n  again: {again}\n  input: {shown}")
        if len(self.found.faults) >= _MOST_FAULTS:
            raise TooManyFaults


def print_found(found: Found) -> None:
    """Tell people what a campaign found."""
    for fault in found.faults:
        print(fault, file=sys.stderr)
    for kind, count in found.tried.items():
        became = ", ".join(f"{name} {number}" for name, number in found.outcomes[kind].items())
        print(f"{kind}: {count} tried: {became}")
    print(f"{len(found.faults)} faults" if found.faults else "no fault")
