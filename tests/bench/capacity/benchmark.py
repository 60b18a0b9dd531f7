"""How many sessions the server carries, and what one more of them costs.

The server is the one that people run; the load is one process, whose sessions send packets that
were encoded beforehand and count what comes back. Sessions are added one by one, and each number
of them is measured, until the server carries no more.
"""

import asyncio
import contextlib
from typing import Any

from tests.bench import capacity_load as load
from tests.bench.capacity_figures import capacity_figures
from tests.bench.capacity_level import Level, carried
from tests.bench.child import Child, ChildError
from tests.bench.counting_peer import RECEIVES_BPS
from tests.bench.machine import cpu_seconds, load_average
from tests.bench.plan import Plan
from tests.support.running_server import RunningServer, ServerFailed

MOST = 24
"""Sessions."""
_SETTLE_S = 6.0
"""After a session was added: aiortc's encoder is at the bitrate that it was told by then."""
_FAILURES = 2
"""Numbers of sessions, one after the other, that are too many: one alone may be bad luck."""


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `ladders` as JSON values.

    Raises:
        ChildError: If a process fails.
    """
    ladders = []
    for number in range(plan.rounds):
        print(f"capacity: round {number + 1} of {plan.rounds}", flush=True)
        ladders.append(await _climb(plan))
    return {
        "settings": {
            "width": load.WIDTH,
            "height": load.HEIGHT,
            "frames_per_s": load.RATE,
            "codec": "VP8",
            "sent_bits_per_s": load.SENDS_BPS,
            "received_bits_per_s": RECEIVES_BPS,
            "interval_s": load.INTERVAL_S,
            "caption_age": "from the sending of the picture, found by its RTP timestamp",
        },
        "figures": capacity_figures(ladders),
        "ladders": [[level.to_json() for level in ladder] for ladder in ladders],
    }


async def _climb(plan: Plan) -> list[Level]:
    """Measure with no session, with one, two and so on."""
    config = f"captioner = '{plan.captioner.resolve()}'\n[stream]\nsessions = {MOST}\n"
    async with contextlib.AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(RunningServer.started(config=config))
            await server.wait_ready()
        except ServerFailed as problem:
            raise ChildError(str(problem)) from problem
        client = await stack.enter_async_context(
            Child.started("tests.bench.capacity_load", server.url)
        )
        await client.hear()
        ladder: list[Level] = []
        failures = 0
        while len(ladder) <= MOST and failures < _FAILURES:
            level = await _measure_level(len(ladder), server, client, plan.seconds)
            print(f"capacity: {level}", flush=True)
            ladder.append(level)
            failures = 0 if carried(level) else failures + 1
    return ladder


async def _measure_level(
    sessions: int, server: RunningServer, client: Child, seconds: float
) -> Level:
    opened = await client.ask(sessions=sessions)
    if opened["problem"]:
        return Level.refused(sessions, opened["problem"])
    await asyncio.sleep(_SETTLE_S)
    busy = load_average()
    engine = server.engine
    if engine is None:
        raise ChildError("the engine is gone")
    processes = {"server": server.pid, "engine": engine.pid, "load": client.pid}
    await client.ask(count=True)
    begun = asyncio.get_running_loop().time()
    used = {name: cpu_seconds(pid) for name, pid in processes.items()}
    await asyncio.sleep(seconds)
    counted = (await client.ask(count=True))["counted"]
    took = asyncio.get_running_loop().time() - begun
    used = {name: (cpu_seconds(pid) - used[name]) / took for name, pid in processes.items()}
    return Level.of(sessions, took, counted, used, busy)
