"""A fuzz campaign: generate input of each kind, submit it, and collect the faults."""

import asyncio
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.faults import FaultLog, count_resources, find_leaks
from tests.fuzz.messages import mutated_message
from tests.fuzz.requests import mutated_request
from tests.fuzz.sdps import mutated_sdp, recorded_offers
from tests.fuzz.targets import DataChannelTarget, HttpTarget, OfferTarget
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.child_process import Child
from tests.support.live_sessions import stream_context

_SOURCES = ("peer", "peer", "demo")
_MESSAGE_BATCH = 50
"""Messages between two pings."""
_REQUEST_BATCH = 25
"""Concurrent requests."""
_REPORT_INTERVAL_S = 10.0
_WARM_UP = 0.3
"""Share of the input after which the resources in use are the baseline."""
_TOLERANCE = {"kilobytes": 30_000, "threads": 4, "tasks": 8, "descriptors": 8}
_MAX_FAULTS = 20
_MAX_SHOWN_CHARACTERS = 5000


class TooManyFaults(Exception):
    """The campaign stopped early, after `_MAX_FAULTS` faults."""


@dataclass(slots=True)
class CampaignResult:
    """Results of a campaign.

    Attributes:
        submitted: Number of inputs by kind.
        outcomes: Number of each outcome by kind.
        faults: Descriptions, each with the input and the options that reproduce it.
    """

    submitted: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Campaign:
    """Generates input from a seed; each input depends only on the seed and its number."""

    def __init__(self, seed: int, first: int = 0, report: Callable[[str], None] = print) -> None:
        """Start at an input number.

        Args:
            seed: The seed.
            first: Number of the first input of each kind.
            report: Called with lines about the progress.
        """
        self._seed, self._first, self._report = seed, first, report
        self._offers = recorded_offers()
        self.result = CampaignResult()

    async def fuzz_offers(self, count: int) -> None:
        """Submit SDP offers in this process."""
        log, reported = FaultLog(), time.monotonic()
        before: dict[str, int] = {}
        async with stream_context(ScriptedCaptions(confident_caption("A dog runs."))) as context:
            target = OfferTarget(context)
            for number in self._numbers(count):
                rng = self._rng("offers", number)
                source, sdp = rng.choice(_SOURCES), mutated_sdp(rng, self._offers)
                try:
                    await target.submit(sdp, source)
                except Exception as problem:
                    self._add_fault("offers", number, sdp, repr(problem))
                for fault in log.take():
                    self._add_fault("offers", number, sdp, fault)
                if number == self._first + int(count * _WARM_UP):
                    before = count_resources()
                if time.monotonic() - reported > _REPORT_INTERVAL_S:
                    reported = time.monotonic()
                    self._report(f"offers: {number - self._first} of {count}")
            leaks = await find_leaks(before, _TOLERANCE) if before else {}
        outcomes = {"answered": target.answered, "refused": target.refused}
        self._add_outcomes("offers", count, outcomes, leaks)

    async def fuzz_messages(self, count: int, url: str, server: Child) -> None:
        """Submit messages on a data channel of a running server."""
        async with DataChannelTarget(url) as target:
            before: dict[str, int] = {}
            numbers = self._numbers(count)
            for place in range(0, count, _MESSAGE_BATCH):
                batch = numbers[place : place + _MESSAGE_BATCH]
                messages = [mutated_message(self._rng("messages", number)) for number in batch]
                try:
                    await target.submit(messages)
                except Exception as problem:
                    self._add_fault("messages", batch[0], messages, repr(problem))
                    break
                for fault in (await server.request(take_faults=True))["faults"]:
                    self._add_fault("messages", batch[0], messages, f"server log: {fault}")
                if place <= count * _WARM_UP:
                    before = (await server.request(count_resources=True))["resources"]
            leaks = await self._find_server_leaks(before, server)
        self._add_outcomes("messages", count, target.received, leaks)

    async def fuzz_requests(
        self, count: int, url: str, routes: list[tuple[str, str]], server: Child
    ) -> None:
        """Submit HTTP requests to a running server."""
        target, reported = HttpTarget(url), time.monotonic()
        before: dict[str, int] = {}
        numbers = self._numbers(count)
        for place in range(0, count, _REQUEST_BATCH):
            batch = {
                number: mutated_request(self._rng("requests", number), routes, self._offers)
                for number in numbers[place : place + _REQUEST_BATCH]
            }
            await asyncio.gather(
                *(
                    self._submit_request(target, number, request)
                    for number, request in batch.items()
                )
            )
            if faults := (await server.request(take_faults=True))["faults"]:
                await self._attribute_faults(target, batch, faults, server)
            if place <= count * _WARM_UP:
                before = (await server.request(count_resources=True))["resources"]
            if time.monotonic() - reported > _REPORT_INTERVAL_S:
                reported = time.monotonic()
                self._report(f"requests: {place} of {count}")
        leaks = await self._find_server_leaks(before, server)
        outcomes = {str(status): number for status, number in sorted(target.statuses.items())}
        self._add_outcomes("requests", count, outcomes, leaks)

    async def _submit_request(self, target: HttpTarget, number: int, request: bytes) -> None:
        try:
            await target.submit(request)
        except Exception as problem:
            self._add_fault("requests", number, request, repr(problem))

    async def _attribute_faults(
        self, target: HttpTarget, batch: dict[int, bytes], faults: list[str], server: Child
    ) -> None:
        """Repeat requests one by one, to find those that caused the faults in the log."""
        reproduced = False
        for number, request in batch.items():
            await self._submit_request(target, number, request)
            for fault in (await server.request(take_faults=True))["faults"]:
                reproduced = True
                self._add_fault("requests", number, request, f"server log: {fault}")
        if not reproduced:
            self._add_fault("requests", min(batch), batch, f"server log: {faults}")

    def _numbers(self, count: int) -> range:
        return range(self._first, self._first + count)

    def _rng(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{self._seed}/{kind}/{number}")

    async def _find_server_leaks(self, before: dict[str, int], server: Child) -> dict[str, Any]:
        if not before:
            return {}
        leaks: dict[str, Any] = (await server.request(before=before, tolerance=_TOLERANCE))["leaks"]
        return leaks

    def _add_outcomes(
        self, kind: str, count: int, outcomes: dict[str, int], leaks: dict[str, Any]
    ) -> None:
        self.result.submitted[kind] = count
        self.result.outcomes[kind] = outcomes
        if leaks:
            self.result.faults.append(f"{kind}: leaked resources: {leaks}")

    def _add_fault(self, kind: str, number: int, data: object, problem: str) -> None:
        options = f"--seed {self._seed} --only {kind} --first {number}"
        shown = repr(data)
        if kind != "offers" and len(shown) > _MAX_SHOWN_CHARACTERS:
            shown = f"{shown[:_MAX_SHOWN_CHARACTERS]} ..."
        self.result.faults.append(f"{kind}: {problem}\n  reproduce: {options}\n  input: {shown}")
        if len(self.result.faults) >= _MAX_FAULTS:
            raise TooManyFaults


def print_result(result: CampaignResult) -> None:
    """Print the faults to standard error, and a summary to standard output."""
    for fault in result.faults:
        print(fault, file=sys.stderr)
    for kind, count in result.submitted.items():
        outcomes = ", ".join(f"{name} {number}" for name, number in result.outcomes[kind].items())
        print(f"{kind}: {count} submitted: {outcomes}")
    print(f"{len(result.faults)} faults" if result.faults else "no faults")
