"""Random faults of a cluster, one after another, and the time until all feeds are captioned."""

import asyncio
import random
import signal
import time
from collections.abc import Sequence

from tests.soak.cluster.observation import Observation
from tests.soak.cluster.record import Record
from tests.soak.cluster.servers import ClusterServer, SoakCluster

KINDS = ("server killed", "server stopped", "server suspended", "database killed", "network cut")
_GIVE_UP_S = 60.0
_PAUSE_S = (0.2, 2.0)
"""Range of the pause between a recovery and the next fault."""

_DOWN_S = {
    "server killed": (0.0, 8.0),
    "server stopped": (0.0, 4.0),
    "server suspended": (1.0, 12.0),
    "database killed": (0.0, 8.0),
    "network cut": (1.0, 15.0),
}
"""How long each fault lasts."""


class FaultInjector:
    """Lets parts of a cluster fail."""

    def __init__(
        self, cluster: SoakCluster, observation: Observation, record: Record, seed: int
    ) -> None:
        """Prepare faults; the seed determines them."""
        self._cluster, self._observation, self._record = cluster, observation, record
        self._rng = random.Random(seed)

    async def run(self, count: int, kinds: Sequence[str] = KINDS) -> None:
        """Cause so many faults of these kinds; wait for all captions after each."""
        for number in range(count):
            # Each kind at least once before chance decides.
            kind = kinds[number] if number < len(kinds) else self._rng.choice(kinds)
            await self._wait_for_captions(time.time())
            await asyncio.sleep(self._rng.uniform(*_PAUSE_S))
            server = self._rng.choice(self._cluster.servers)
            down_s = self._rng.uniform(*_DOWN_S[kind])
            began = time.time()
            await self._fail(kind, server, down_s)
            recovery_s = await self._wait_for_captions(time.time())
            self._record.recoveries_s.setdefault(kind, []).append(recovery_s)
            await self._observation.check_login(f"after fault {number + 1}, {kind}")
            where = "" if kind == "database killed" else f" {server.machine.number}"
            print(
                f"fault {number + 1}, {kind}{where}: {time.time() - began - recovery_s:.1f} s, "
                f"captions everywhere after {recovery_s:.1f} s",
                flush=True,
            )

    async def _fail(self, kind: str, server: ClusterServer, down_s: float) -> None:
        match kind:
            case "server killed" | "server stopped":
                is_kill = kind == "server killed"
                await server.end(signal.SIGKILL if is_kill else signal.SIGTERM)
                await asyncio.sleep(down_s)
                await server.start()
            case "server suspended":
                server.send(signal.SIGSTOP)
                await asyncio.sleep(down_s)
                server.send(signal.SIGCONT)
            case "database killed":
                began = time.time()
                await asyncio.to_thread(self._cluster.postgres.kill)
                await asyncio.sleep(down_s)
                await self._observation.check_login("while the database was away")
                await asyncio.to_thread(self._cluster.postgres.start)
                self._record.outages.append((began, time.time()))
            case "network cut":
                server.machine.cut_database()
                await asyncio.sleep(down_s)
                await self._observation.check_login("while a server was cut off")
                server.machine.mend_database()

    async def _wait_for_captions(self, since: float) -> float:
        """Wait for a newer caption of each feed at each server; return the seconds since then."""
        while time.time() - since < _GIVE_UP_S:
            if self._observation.captions_since(since):
                return time.time() - since
            await asyncio.sleep(0.05)
        return float("inf")
