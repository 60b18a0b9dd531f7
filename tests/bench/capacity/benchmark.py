"""Maximum number of sessions, and the CPU cost of each.

The server runs as in production; the load is one process, whose sessions send packets encoded
beforehand and count what they receive. Sessions are added one by one, and each number of sessions
is measured, until the server no longer sustains it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.bench.capacity import load
from tests.bench.capacity.figures import capacity_figures
from tests.bench.capacity.level import Level, is_sustained
from tests.bench.machine import cpu_seconds, load_average
from tests.bench.plan import Plan
from tests.support.child_process import Child, ChildError
from tests.support.load.counting_peer import RECEIVE_BPS
from tests.support.servers.server_process import ServerFailed, ServerProcess

MAX_SESSIONS = 24
_SETTLE_S = 6.0
"""After a session was added: until aiortc's encoder has reached its bitrate."""
_MAX_FAILURES = 2
"""Consecutive levels that are not sustained: a single one may be chance."""


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a process fails.
    """
    rounds = []
    for number in range(plan.rounds):
        print(f"capacity: round {number + 1} of {plan.rounds}", flush=True)
        rounds.append(await _measure_round(plan))
    return {
        "settings": {
            "width": load.WIDTH,
            "height": load.HEIGHT,
            "frames_per_s": load.RATE,
            "codec": "VP8",
            "sent_bits_per_s": load.SEND_BPS,
            "received_bits_per_s": RECEIVE_BPS,
            "interval_s": load.INTERVAL_S,
            "caption_age": "since the frame was sent, found by its RTP timestamp",
        },
        "figures": capacity_figures(rounds),
        "rounds": [[level.to_json() for level in levels] for levels in rounds],
    }


async def _measure_round(plan: Plan) -> list[Level]:
    """Measure without sessions, with one, with two, and so on."""
    async with opened_server(plan, media_processes=None) as (server, client):
        levels: list[Level] = []
        failures = 0
        while len(levels) <= MAX_SESSIONS and failures < _MAX_FAILURES:
            level = await measure_level(len(levels), server, client, plan.seconds)
            print(f"capacity: {level}", flush=True)
            levels.append(level)
            failures = 0 if is_sustained(level) else failures + 1
    return levels


@contextlib.asynccontextmanager
async def opened_server(
    plan: Plan, *, media_processes: int | None
) -> AsyncIterator[tuple[ServerProcess, Child]]:
    """Run a server, and a load generator without sessions.

    Args:
        plan: With the captioner.
        media_processes: As for `ServerProcess.start`.

    Raises:
        ChildError: If a process fails.
    """
    config = f"captioner = '{plan.captioner.resolve()}'\n[stream]\nsessions = {MAX_SESSIONS}\n"
    async with contextlib.AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(
                ServerProcess.start(config=config, media_processes=media_processes)
            )
            await server.wait_ready()
        except ServerFailed as problem:
            raise ChildError(str(problem)) from problem
        client = await stack.enter_async_context(
            Child.start("tests.bench.capacity.load", server.url)
        )
        await client.receive()
        yield server, client


async def measure_level(
    sessions: int, server: ServerProcess, client: Child, seconds: float
) -> Level:
    """Open sessions until there are so many, and measure.

    Raises:
        ChildError: If a process fails.
    """
    opened = await client.request(sessions=sessions)
    if opened["problem"]:
        return Level.refused(sessions, opened["problem"])
    await asyncio.sleep(_SETTLE_S)
    load_before = load_average()
    engine = server.engine
    if engine is None:
        raise ChildError("the engine is not running")
    processes = {
        "front": [server.pid],
        "server": [server.pid, *(process.pid for process in server.media_processes)],
        "engine": [engine.pid],
        "load": [client.pid],
    }
    await client.request(take_counts=True)
    started = asyncio.get_running_loop().time()
    used = {name: sum(map(cpu_seconds, pids)) for name, pids in processes.items()}
    await asyncio.sleep(seconds)
    counts = (await client.request(take_counts=True))["counts"]
    elapsed = asyncio.get_running_loop().time() - started
    used = {
        name: (sum(map(cpu_seconds, pids)) - used[name]) / elapsed
        for name, pids in processes.items()
    }
    return Level.from_counts(sessions, elapsed, counts, used, load_before)
