"""The live path against a plain echo: frame rate, delay, age of captions, the event loop.

Both servers stay up; rounds of each alternate, every round with a client of its own. The client and
the echo are plain aiortc, which hands a picture on only when the next one's first packet has come:
a frame's time on the way back from either server, and on the way to the echo.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

from tests.bench.child import Child, ChildError
from tests.bench.client import HEIGHT, RATE, TICKS, WIDTH
from tests.bench.live_figures import live_figures
from tests.bench.live_round import Round
from tests.bench.machine import cpu_seconds, load_average
from tests.bench.plan import Plan

INTERVAL_S = 0.5
"""Between captions."""
_FREE_S = 15.0
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, ready for rounds."""

    name: str
    url: str
    child: Child
    interval_s: float | None


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a process fails, or nothing came back.
    """
    async with contextlib.AsyncExitStack() as stack:
        echo = await _start(stack, "echo", None, "tests.bench.echo_server")
        sightline = await _start(
            stack, "sightline", INTERVAL_S, "tests.bench.sightline_server", str(plan.captioner)
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
            "caption_age": "from the sending of the picture, found by its RTP timestamp",
        },
        "figures": live_figures(measured[::2], measured[1::2]),
        "rounds": [round_.to_json() for round_ in measured],
    }


async def _start(
    stack: contextlib.AsyncExitStack, name: str, interval_s: float | None, *module: str
) -> Server:
    child = await stack.enter_async_context(Child.started(*module))
    ready = await child.hear()
    return Server(name, ready["url"], child, interval_s)


async def _measure_round(server: Server, plan: Plan) -> Round:
    load = load_average()
    state = await server.child.ask(tell="state")
    await server.child.ask(tell="callbacks")
    arguments = [server.url, "--warm-up", str(plan.warm_up_s), "--seconds", str(plan.seconds)]
    if server.interval_s:
        arguments += ["--interval", str(server.interval_s)]
    callbacks = {}
    async with Child.started("tests.bench.client", *arguments) as client:
        processes = {"server": server.child.pid, "client": client.pid}
        if "engine" in state:
            processes["engine"] = state["engine"]
        await client.hear()
        callbacks["opening"] = await server.child.ask(tell="callbacks")
        used = {name: cpu_seconds(process) for name, process in processes.items()}
        await client.hear()
        callbacks["streaming"] = await server.child.ask(tell="callbacks")
        used = {name: cpu_seconds(processes[name]) - before for name, before in used.items()}
        result = await client.hear()
    after = await _wait_until_free(server)
    callbacks["closing"] = await server.child.ask(tell="callbacks")
    return _evaluate(server, load, result, callbacks, used, state, after)


async def _wait_until_free(server: Server) -> dict[str, Any]:
    """Wait until the server has noticed that the client is gone; return its state."""
    end = time.monotonic() + _FREE_S
    while time.monotonic() < end:
        state = await server.child.ask(tell="state")
        if not state["sessions"]:
            return state
        await asyncio.sleep(_PAUSE_S)
    raise ChildError(f"the {server.name} server did not notice that its client was gone")


def _evaluate(
    server: Server,
    load: list[float],
    result: dict[str, Any],
    callbacks: dict[str, Any],
    cpu_s: dict[str, float],
    before: dict[str, Any],
    after: dict[str, Any],
) -> Round:
    begun, ended = result["begun"], result["ended"]
    sent_at: dict[int, float] = dict(result["sent"])
    sent = [number for number, at in sent_at.items() if begun <= at < ended]
    came_at = {number: at for number, at in reversed(result["returned"]) if number is not None}
    returned = [number for number in sent if number in came_at]
    if not returned:
        raise ChildError(f"no picture came back from the {server.name} server")
    in_time = [number for number, at in result["returned"] if begun <= at < ended]
    captions = [caption for caption in result["captions"] if begun <= caption["came"] < ended]
    if server.interval_s and not captions:
        raise ChildError(f"no caption came from the {server.name} server; measure for longer")
    for caption in captions:
        # Rounded, since aiortc's encoder lets a timestamp slip by a tick.
        number = round((caption["pts"] + after["behind"]) / TICKS)
        caption["sent"] = sent_at[number]
    return Round(
        server=server.name,
        load_average=load,
        delays_ms=[(came_at[number] - sent_at[number]) * 1e3 for number in returned],
        returned_per_s=len(in_time) / (ended - begun),
        sent=len(sent),
        lost=sorted(set(sent) - set(returned)),
        skipped=max(sent) - min(sent) + 1 - len(sent),
        unreadable=in_time.count(None),
        ages_ms=[(caption["came"] - caption["sent"]) * 1e3 for caption in captions],
        ages_since_capture_ms=[
            (caption["came"] - caption["captured"]) * 1e3 for caption in captions
        ],
        capture_ms=[(caption["captured"] - caption["sent"]) * 1e3 for caption in captions],
        caption_timing_ms=_by_part([caption["timing_ms"] for caption in captions]),
        captions_per_s=len(captions) / (ended - begun),
        captions_asked_per_s=1 / server.interval_s if server.interval_s else 0.0,
        callbacks=callbacks,
        cpu_s={name: round(seconds, 2) for name, seconds in cpu_s.items()},
        engine_restarts=after.get("engine_starts", 0) - before.get("engine_starts", 0),
    )


def _by_part(timings: list[dict[str, float]]) -> dict[str, list[float]]:
    parts = timings[0] if timings else {}
    return {part: [timing[part] for timing in timings] for part in parts}
