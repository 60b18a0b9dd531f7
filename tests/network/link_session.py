"""A session over a lossy link, and measurements of its video and captions."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.network.lossy_link import LossyLink
from tests.support.child_process import Child
from tests.support.load.round_trip_client import RATE
from tests.support.servers.server_process import ServerProcess

SERVER, CLIENT = "10.77.0.2", "10.77.0.1"
STALL_S = 3.0
"""Duration of a stall, in seconds."""
MAX_RECOVERY_S = 2.0
"""Maximum time until video and captions resume after a stall."""

_GIVE_UP_S = 20.0
_POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class Throughput:
    """What arrived in a period.

    Attributes:
        frames: Share of the frame rate that was returned.
        damaged: Number of damaged frames.
        captions_per_s: Captions per second.
        longest_gap_s: Longest time between two frames.
    """

    frames: float
    damaged: int
    captions_per_s: float
    longest_gap_s: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """Time from the end of a stall to the first new frame and the first new caption."""

    frame_s: float
    caption_s: float


class LinkSession:
    """A session over a lossy link."""

    def __init__(self, link: LossyLink, client: Child) -> None:
        """Wrap a link and the process of a connected client."""
        self.link, self._client = link, client

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, seed: int, program: Sequence[str] = ("server.py",)
    ) -> AsyncIterator["LinkSession"]:
        """Connect a client to a server over a link of their own, until the context ends.

        Args:
            seed: Determines which packets are lost.
            program: See `ServerProcess.start`.
        """
        token = secrets.token_hex()
        config = f'[access]\nadmin_token = "{token}"\n'
        async with (
            LossyLink(seed) as link,
            ServerProcess.start(
                *("--host", SERVER),
                config=config,
                prefix=link.endpoint_command(SERVER),
                program=program,
            ) as server,
            Child.start(
                *("tests.network.client", server.url, CLIENT, token),
                prefix=link.endpoint_command(CLIENT),
            ) as client,
        ):
            await client.receive()
            yield cls(link, client)

    async def measure_throughput(self, loss: float, seconds: float) -> Throughput:
        """Measure the session while a share of all packets is lost."""
        self.link.loss = loss
        await self._client.request(take=True)
        start = time.time()
        await asyncio.sleep(seconds)
        received = await self._client.request(take=True)
        times = [start, *(at for _, at in received["frames"]), time.time()]
        return Throughput(
            frames=len(received["frames"]) / seconds / RATE,
            damaged=received["damaged"],
            captions_per_s=len(received["captions"]) / seconds,
            longest_gap_s=max(after - before for before, after in pairwise(times)),
        )

    async def measure_recovery(self, seconds: float = STALL_S) -> Recovery:
        """Interrupt the link, and wait until video and captions resume."""
        self.link.down = True
        await asyncio.sleep(seconds)
        self.link.down = False
        end = time.time()
        await self._client.request(take=True)
        frame_s = caption_s = float("inf")
        while max(frame_s, caption_s) == float("inf") and time.time() - end < _GIVE_UP_S:
            await asyncio.sleep(_POLL_INTERVAL_S)
            received = await self._client.request(take=True)
            frame_s = min(frame_s, _first_arrival(received["frames"], end))
            caption_s = min(caption_s, _first_arrival(received["captions"], end))
        return Recovery(frame_s, caption_s)


def _first_arrival(arrivals: Sequence[Any], end: float) -> float:
    """Return the first arrival, in seconds since `end`, of what was sent after it."""
    return min((at - end for sent, at in arrivals if sent >= end), default=float("inf"))
