"""What a bad line does to a session: packets lost at random, and a line dead for a while."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.bench.child import Child
from tests.bench.client import RATE
from tests.network.bad_line import BadLine
from tests.support.running_server import RunningServer

SERVER, CLIENT = "10.77.0.2", "10.77.0.1"
STALL_S = 3.0
BACK_S = 2.0
"""After a stall, pictures and captions are to be back in so long."""
_GIVE_UP_S = 20.0
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Flow:
    """What came in some seconds."""

    pictures: float
    """Part of the frame rate that came back."""
    damaged: int
    captions_per_s: float
    longest_s: float
    """Between two pictures."""


@dataclass(frozen=True, slots=True)
class Return:
    """How long it took after a stall until something came that was new then, in seconds."""

    picture_s: float
    caption_s: float


class Trial:
    """A session over a bad line."""

    def __init__(self, line: BadLine, viewer: Child) -> None:
        """Try the line of a viewer that is connected."""
        self.line, self._viewer = line, viewer

    @classmethod
    @contextlib.asynccontextmanager
    async def begun(
        cls, seed: int, program: Sequence[str] = ("server.py",)
    ) -> AsyncIterator["Trial"]:
        """Connect a client to a server, over a line of their own, for as long as the context lasts.

        Args:
            seed: Of what the line loses.
            program: As `RunningServer.started` takes it.
        """
        token = secrets.token_hex()
        config = f'[access]\nadmin_token = "{token}"\n'
        async with (
            BadLine(seed) as line,
            RunningServer.started(
                *("--host", SERVER), config=config, within=line.within(SERVER), program=program
            ) as server,
            Child.started(
                *("tests.network.viewer", server.url, CLIENT, token), within=line.within(CLIENT)
            ) as viewer,
        ):
            await viewer.hear()
            yield cls(line, viewer)

    async def flow(self, loss: float, seconds: float) -> Flow:
        """Lose a part of all packets, and count what comes."""
        self.line.loss = loss
        await self._viewer.ask(take=True)
        begun = time.time()
        await asyncio.sleep(seconds)
        came = await self._viewer.ask(take=True)
        times = [begun, *(came for _, came in came["pictures"]), time.time()]
        return Flow(
            pictures=len(came["pictures"]) / seconds / RATE,
            damaged=came["damaged"],
            captions_per_s=len(came["captions"]) / seconds,
            longest_s=max(after - before for before, after in pairwise(times)),
        )

    async def stall(self, seconds: float = STALL_S) -> Return:
        """Let nothing through for some seconds, and wait until all is as it was."""
        self.line.cut = True
        await asyncio.sleep(seconds)
        self.line.cut = False
        ended = time.time()
        await self._viewer.ask(take=True)
        picture_s = caption_s = float("inf")
        while max(picture_s, caption_s) == float("inf") and time.time() - ended < _GIVE_UP_S:
            await asyncio.sleep(_PAUSE_S)
            came = await self._viewer.ask(take=True)
            picture_s = min(picture_s, _first(came["pictures"], ended))
            caption_s = min(caption_s, _first(came["captions"], ended))
        return Return(picture_s, caption_s)


def _first(came: Sequence[Any], ended: float) -> float:
    """When the first came of what was sent since; infinite if none did."""
    return min((at - ended for sent, at in came if sent >= ended), default=float("inf"))
