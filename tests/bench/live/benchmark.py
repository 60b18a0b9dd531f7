"""Live path compared with an echo: frame rate, delay, age of captions, and the event loop.

Both servers stay up; their rounds alternate, each with a client of its own. Client and echo are
plain aiortc, which completes a frame only when the first packet of the next one arrives. This adds
the duration of a frame to the way back from either server, and to the way to the echo.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

from tests.bench.live.figures import live_figures
from tests.bench.live.round import Round
from tests.bench.machine import cpu_seconds, load_average
from tests.bench.plan import Plan
from tests.support.child_process import Child, ChildError
from tests.support.load.round_trip_client import HEIGHT, RATE, TICKS_PER_FRAME, WIDTH

INTERVAL_S = 0.5
"""Interval of captions, in seconds."""

_SESSION_END_TIMEOUT_S = 15.0
_POLL_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `interval_s` is None if it does not caption."""

    name: str
    url: str
    child: Child
    interval_s: float | None


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a process fails, or no frame or caption is returned.
    """
    async with contextlib.AsyncExitStack() as stack:
        echo = await _start(stack, "echo", None, "tests.bench.live.echo_server")
        sightline = await _start(
            stack, "sightline", INTERVAL_S, "tests.bench.live.sightline_server", str(plan.captioner)
        )
        measured = []
        for number in range(plan.rounds):
            for server in (echo, sightline):
                print(f"live: round {number + 1} of {plan.rounds}, {server.name} ...", flush=True)
                measured.append(await _measure_round(server, plan))
    return {
        "settings": {
            "width": WIDTH,
            "height": HEIGHT,
            "frames_per_s": RATE,
            "codec": "VP8",
            "interval_s": INTERVAL_S,
            "caption_age": "since the frame was sent, found by its RTP timestamp",
        },
        "figures": live_figures(measured[::2], measured[1::2]),
        "rounds": [round_.to_json() for round_ in measured],
    }


async def _start(
    stack: contextlib.AsyncExitStack, name: str, interval_s: float | None, *module: str
) -> Server:
    child = await stack.enter_async_context(Child.start(*module))
    ready = await child.receive()
    return Server(name, ready["url"], child, interval_s)


async def _measure_round(server: Server, plan: Plan) -> Round:
    load = load_average()
    state = await server.child.request(get="state")
    await server.child.request(get="callbacks")
    arguments = [server.url, "--warm-up", str(plan.warm_up_s), "--seconds", str(plan.seconds)]
    if server.interval_s:
        arguments += ["--interval", str(server.interval_s)]
    callbacks = {}
    async with Child.start("tests.bench.live.client", *arguments) as client:
        processes = {"server": server.child.pid, "client": client.pid}
        if "engine" in state:
            processes["engine"] = state["engine"]
        await client.receive()
        callbacks["opening"] = await server.child.request(get="callbacks")
        used = {name: cpu_seconds(process) for name, process in processes.items()}
        await client.receive()
        callbacks["streaming"] = await server.child.request(get="callbacks")
        used = {name: cpu_seconds(processes[name]) - before for name, before in used.items()}
        result = await client.receive()
    after = await _wait_until_idle(server)
    callbacks["closing"] = await server.child.request(get="callbacks")
    return _evaluate(server, load, result, callbacks, used, state, after)


async def _wait_until_idle(server: Server) -> dict[str, Any]:
    """Wait until the server has ended the client's session; return its state."""
    end = time.monotonic() + _SESSION_END_TIMEOUT_S
    while time.monotonic() < end:
        state = await server.child.request(get="state")
        if not state["sessions"]:
            return state
        await asyncio.sleep(_POLL_INTERVAL_S)
    raise ChildError(f"the {server.name} server did not end its client's session")


def _evaluate(
    server: Server,
    load: list[float],
    result: dict[str, Any],
    callbacks: dict[str, Any],
    cpu_s: dict[str, float],
    before: dict[str, Any],
    after: dict[str, Any],
) -> Round:
    start, end = result["start"], result["end"]
    sent_at: dict[int, float] = dict(result["sent"])
    sent = [number for number, at in sent_at.items() if start <= at < end]
    returned_at = {number: at for number, at in reversed(result["returned"]) if number is not None}
    returned = [number for number in sent if number in returned_at]
    if not returned:
        raise ChildError(f"the {server.name} server returned no frame")
    in_time = [number for number, at in result["returned"] if start <= at < end]
    captions = [caption for caption in result["captions"] if start <= caption["received"] < end]
    if server.interval_s and not captions:
        raise ChildError(f"the {server.name} server sent no caption; measure for longer")
    for caption in captions:
        # Rounded, because aiortc's encoder may shift a timestamp by one tick.
        number = round((caption["pts"] + after["timestamp_offset"]) / TICKS_PER_FRAME)
        caption["sent"] = sent_at[number]
    return Round(
        server=server.name,
        load_average=load,
        delays_ms=[(returned_at[number] - sent_at[number]) * 1e3 for number in returned],
        returned_per_s=len(in_time) / (end - start),
        sent=len(sent),
        lost=sorted(set(sent) - set(returned)),
        skipped=max(sent) - min(sent) + 1 - len(sent),
        unreadable=in_time.count(None),
        ages_ms=[(caption["received"] - caption["sent"]) * 1e3 for caption in captions],
        ages_since_capture_ms=[
            (caption["received"] - caption["captured"]) * 1e3 for caption in captions
        ],
        capture_ms=[(caption["captured"] - caption["sent"]) * 1e3 for caption in captions],
        caption_timing_ms=_by_part([caption["timing_ms"] for caption in captions]),
        captions_per_s=len(captions) / (end - start),
        configured_captions_per_s=1 / server.interval_s if server.interval_s else 0.0,
        callbacks=callbacks,
        cpu_s={name: round(seconds, 2) for name, seconds in cpu_s.items()},
        engine_restarts=after.get("engine_starts", 0) - before.get("engine_starts", 0),
    )


def _by_part(timings: list[dict[str, float]]) -> dict[str, list[float]]:
    parts = timings[0] if timings else {}
    return {part: [timing[part] for timing in timings] for part in parts}
