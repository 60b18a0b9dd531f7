"""Uses that media processes count at the front, so that limits hold over all of them."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Any

from stream.media.channel import NOTHING, Answer, Channel, ChannelClosed
from stream.quota import SERVER, Owner, QuotaExceeded
from stream.usage_limits import UsageLimits


class FrontLimits:
    """The limits in a media process: the front counts every use."""

    def __init__(self, channel: Channel) -> None:
        """Ask the front over a channel."""
        self._channel = channel
        self._numbers = itertools.count()
        self.viewers_may_cause_requests = True
        """Whether viewers may cause any request to an endpoint."""

    def explanation(self, owner: Owner) -> AbstractAsyncContextManager[None]:
        """Count an explanation or a check while the context lasts; raises QuotaExceeded."""
        return self._use("explanation", owner)

    def analysis(self) -> AbstractAsyncContextManager[None]:
        """Count an analysis while the context lasts; raises QuotaExceeded."""
        return self._use("analysis", SERVER)

    async def take_requests(self, owner: Owner, count: int) -> None:
        """Count requests that an explanation sends to an endpoint; raises QuotaExceeded."""
        await self._request("take_requests", owner=asdict(owner), count=count)

    def allows_no_requests(self, owner: Owner) -> bool:
        """Whether the owner may cause no request to an endpoint at all."""
        return not (owner.is_admin or self.viewers_may_cause_requests)

    @asynccontextmanager
    async def _use(self, kind: str, owner: Owner) -> AsyncIterator[None]:
        number = next(self._numbers)
        try:
            await self._request("use", kind=kind, number=number, owner=asdict(owner))
            yield
        finally:
            self._channel.notify("release", number=number)

    async def _request(self, name: str, **values: Any) -> None:
        try:
            await self._channel.request(name, **values)
        except ChannelClosed:
            raise QuotaExceeded("the server is stopping") from None


class CountedUses:
    """The uses of one media process, at the front."""

    def __init__(self, limits: UsageLimits) -> None:
        """Count with the limits of the server."""
        self._limits = limits
        self._uses: dict[int, AsyncExitStack] = {}
        self._releasing: set[asyncio.Task[None]] = set()

    async def answer(self, name: str, values: dict[str, Any], _: bytes) -> Answer:
        """Answer a request of the process; raises QuotaExceeded."""
        owner = Owner(**values["owner"])
        if name == "use":
            await self._use(values["kind"], values["number"], owner)
        else:
            await self._limits.take_requests(owner, values["count"])
        return NOTHING

    def release(self, number: int) -> None:
        """End a use, if it is counted."""
        # In a task, which begins after that of a request that was received before.
        task = asyncio.create_task(self._release(number), name="release of a use")
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def close(self) -> None:
        """End all uses of a process that has ended."""
        for number in list(self._uses):
            self.release(number)
        with contextlib.suppress(ValueError):
            await asyncio.wait(self._releasing)

    async def _release(self, number: int) -> None:
        if use := self._uses.pop(number, None):
            await use.aclose()

    async def _use(self, kind: str, number: int, owner: Owner) -> None:
        """Count a use until it is released."""
        use = self._uses[number] = AsyncExitStack()
        limits = self._limits
        try:
            counted = limits.analysis() if kind == "analysis" else limits.explanation(owner)
            await use.enter_async_context(counted)
        except BaseException:
            self._uses.pop(number, None)
            raise
        if number not in self._uses:
            # Released meanwhile, as the client cancelled it.
            await use.aclose()
