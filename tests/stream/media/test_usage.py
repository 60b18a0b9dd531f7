"""Uses that a media process counts at the front."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from stream.media.channel import NOTHING, Answer, Channel
from stream.media.usage import CountedUses, FrontLimits
from stream.quota import Owner, QuotaExceeded, ShareExceeded
from stream.usage_limits import LocalLimits

VIEWER = Owner("192.0.2.1", is_admin=False, share=0.5)
ADMIN = Owner("192.0.2.1", is_admin=True)


class _Process(NamedTuple):
    limits: FrontLimits
    uses: CountedUses
    end: Channel


@asynccontextmanager
async def _process(limits: LocalLimits) -> AsyncIterator[_Process]:
    """The limits in a media process, whose uses the front counts with `limits`."""
    uses = CountedUses(limits)

    async def nothing(*_: Any) -> Answer:
        return NOTHING

    def on_notice(name: str, values: dict[str, Any], _: bytes) -> None:
        assert name == "release"
        uses.release(values["number"])

    ends = socket.socketpair()
    streams = [await asyncio.open_unix_connection(sock=end) for end in ends]
    front = Channel(*streams[0], uses.answer, on_notice)
    there = Channel(*streams[1], nothing, lambda *_: None)
    tasks = [asyncio.create_task(channel.serve()) for channel in (front, there)]
    try:
        yield _Process(FrontLimits(there), uses, there)
    finally:
        await front.close()
        await there.close()
        await asyncio.gather(*tasks)
        await uses.close()


async def _until(limits: LocalLimits, count: int) -> None:
    async with asyncio.timeout(5):
        while len(limits.explanations) != count:
            await asyncio.sleep(0.005)


async def test_explanations_are_counted_over_processes_with_shares() -> None:
    limits = LocalLimits(analyses=1)
    async with _process(limits) as one, _process(limits) as two, AsyncExitStack() as used:
        for number in range(8):
            process = (one, two)[number % 2]
            await used.enter_async_context(process.limits.explanation(VIEWER))
        with pytest.raises(ShareExceeded, match="share of 8 explanations"):
            await used.enter_async_context(two.limits.explanation(VIEWER))
        assert len(limits.explanations) == 8
        await used.enter_async_context(two.limits.explanation(ADMIN))
        await used.aclose()
        await _until(limits, 0)


async def test_analyses_are_counted_over_processes() -> None:
    limits = LocalLimits(analyses=1)
    async with _process(limits) as one, _process(limits) as two:
        async with one.limits.analysis():
            with pytest.raises(QuotaExceeded, match="1 analyses are already running"):
                async with two.limits.analysis():
                    pass
        async with asyncio.timeout(5):
            while True:
                # The end of the first arrives over another channel.
                with contextlib.suppress(QuotaExceeded):
                    async with two.limits.analysis():
                        break


async def test_the_uses_of_a_process_end_with_it() -> None:
    limits = LocalLimits(analyses=1)
    async with _process(limits) as one, _process(limits) as two:
        await one.limits.explanation(VIEWER).__aenter__()
        await two.limits.explanation(VIEWER).__aenter__()
        await one.uses.close()
        assert len(limits.explanations) == 1
        with pytest.raises(QuotaExceeded, match="stopping"):
            await two.end.close()
            await two.limits.explanation(VIEWER).__aenter__()


async def test_a_cancelled_request_uses_nothing() -> None:
    limits = LocalLimits(analyses=1)

    async def explain(process: _Process) -> None:
        async with process.limits.explanation(VIEWER):
            await asyncio.Event().wait()

    async with _process(limits) as process:
        for steps in range(12):
            task = asyncio.create_task(explain(process))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await process.limits.take_requests(ADMIN, 1)
        await _until(limits, 0)


async def test_requests_to_an_endpoint_are_counted_over_processes() -> None:
    limits = LocalLimits(analyses=1)
    limits.endpoint_requests.configure(20, 5)
    async with _process(limits) as one, _process(limits) as two:
        await one.limits.take_requests(VIEWER, 5)
        await two.limits.take_requests(VIEWER, 5)
        with pytest.raises(ShareExceeded, match="20 an hour"):
            await one.limits.take_requests(VIEWER, 5)
        await two.limits.take_requests(ADMIN, 100)
        assert not one.limits.allows_no_requests(VIEWER)
        one.limits.viewers_may_cause_requests = False
        assert one.limits.allows_no_requests(VIEWER)
        assert not one.limits.allows_no_requests(ADMIN)
