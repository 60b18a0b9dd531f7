"""The live path against a plain echo: frame rate, delay, age of captions, the event loop.

Both servers stay up; rounds of each alternate, every round with a client of its own. aiortc hands a
picture on only when the next one's first packet has come, so that each way costs a frame's time:
the echo's too.
"""

import asyncio
import contextlib
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.child import Child, ChildError
from tests.bench.client import HEIGHT, RATE, TICKS, WIDTH
from tests.bench.figures import Figure, Summary, Target
from tests.bench.machine import cpu_seconds, load_average

INTERVAL_S = 0.5
"""Between captions."""
WARM_UP_S = 8.0
"""What aiortc's bitrate takes to settle."""
_FREE_S = 15.0
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Round:
    """One round against one server."""

    server: str
    load_average: list[float]
    """Before the round."""
    delays_ms: list[float]
    """Of each picture that was sent in the measured time and came back."""
    returned_per_s: float
    sent: int
    lost: list[int]
    """Numbers that never came back."""
    skipped: int
    """Pictures that the client was too busy to send."""
    unreadable: int
    """Pictures that came with a damaged number."""
    ages_ms: list[float]
    """Of each caption that came in the measured time, since its picture was sent."""
    ages_since_capture_ms: list[float]
    """Of the same, since the server had the picture."""
    capture_ms: list[float]
    """From the sending of each such picture until the server had it."""
    caption_total_ms: list[float]
    """What the server says that each caption took."""
    captions_per_s: float
    callbacks: dict[str, Any]
    """Of the server's event loop, by phase: opening, streaming, closing."""
    cpu_s: dict[str, float]
    """Used in the measured time by each process."""
    engine_restarts: int

    def to_json(self) -> dict[str, Any]:
        """Return the round as JSON values, with summaries in place of samples."""
        values: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if name.endswith("_ms"):
                values[name] = _summary(value) if value else None
            else:
                values[name] = value
        return values


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, ready for rounds."""

    name: str
    url: str
    child: Child
    interval_s: float | None


async def measure(captioner: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a process fails, or nothing came back.
    """
    async with contextlib.AsyncExitStack() as stack:
        echo = await _start(stack, "echo", None, "tests.bench.echo_server")
        sightline = await _start(
            stack, "sightline", INTERVAL_S, "tests.bench.sightline_server", str(captioner)
        )
        measured = []
        for number in range(rounds):
            for server in (echo, sightline):
                print(f"live: round {number + 1} of {rounds}, {server.name} ...", flush=True)
                measured.append(await _measure_round(server, seconds))
    return {
        "settings": {
            "width": WIDTH,
            "height": HEIGHT,
            "frames_per_s": RATE,
            "codec": "VP8",
            "warm_up_s": WARM_UP_S,
            "seconds": seconds,
            "interval_s": INTERVAL_S,
            "caption_age": "from the sending of the picture, found by its RTP timestamp",
        },
        "figures": _figures(measured[::2], measured[1::2]),
        "rounds": [round_.to_json() for round_ in measured],
    }


async def _start(
    stack: contextlib.AsyncExitStack, name: str, interval_s: float | None, *module: str
) -> Server:
    child = await stack.enter_async_context(Child.started(*module))
    ready = await child.hear()
    return Server(name, ready["url"], child, interval_s)


async def _measure_round(server: Server, seconds: float) -> Round:
    load = load_average()
    state = await server.child.ask(tell="state")
    await server.child.ask(tell="callbacks")
    arguments = [server.url, "--warm-up", str(WARM_UP_S), "--seconds", str(seconds)]
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
    return _evaluate(server.name, load, result, callbacks, used, state, after)


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
    server: str,
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
        raise ChildError(f"no picture came back from the {server} server")
    in_time = [number for number, at in result["returned"] if begun <= at < ended]
    captions = [caption for caption in result["captions"] if begun <= caption["came"] < ended]
    for caption in captions:
        # Rounded, since aiortc's encoder lets a timestamp slip by a tick.
        number = round((caption["pts"] + after["behind"]) / TICKS)
        caption["sent"] = sent_at[number]
    return Round(
        server=server,
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
        caption_total_ms=[caption["total_ms"] for caption in captions],
        captions_per_s=len(captions) / (ended - begun),
        callbacks=callbacks,
        cpu_s={name: round(seconds, 2) for name, seconds in cpu_s.items()},
        engine_restarts=after.get("engine_starts", 0) - before.get("engine_starts", 0),
    )


def _figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    return [
        *_video_figures(echo, sightline),
        *_caption_figures(echo, sightline),
        *_callback_figures(echo, sightline),
    ]


def _video_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    pairs = list(zip(echo, sightline, strict=True))
    rates, echo_rates = ([[r.returned_per_s] for r in rounds] for rounds in (sightline, echo))
    medians, echo_medians = (
        [statistics.median(r.delays_ms) for r in rounds] for rounds in (sightline, echo)
    )
    tails, echo_tails = (
        [Summary.of(r.delays_ms).p95 for r in rounds] for rounds in (sightline, echo)
    )
    return [
        Figure.over_rounds("returned frames", "1/s", rates, "echo", echo_rates),
        Figure.over_rounds(
            "frame rate as a part of the echo's",
            "",
            [[ours.returned_per_s / theirs.returned_per_s] for theirs, ours in pairs],
            "echo, 1/s",
            echo_rates,
            Target(0.97, at_least=True),
        ),
        Figure.over_rounds(
            "frames lost, of each round",
            "",
            [[len(r.lost)] for r in sightline],
            "echo",
            [[len(r.lost)] for r in echo],
        ),
        Figure.over_rounds(
            "delay of returned frames",
            "ms",
            [r.delays_ms for r in sightline],
            "echo",
            [r.delays_ms for r in echo],
        ),
        Figure.over_rounds(
            "added delay at the median",
            "ms",
            [[ours - theirs] for ours, theirs in zip(medians, echo_medians, strict=True)],
            "echo's median",
            [[median] for median in echo_medians],
            Target(5.0),
        ),
        Figure.over_rounds(
            "added delay at p95",
            "ms",
            [[ours - theirs] for ours, theirs in zip(tails, echo_tails, strict=True)],
            "echo's p95",
            [[tail] for tail in echo_tails],
            Target(33.0),
        ),
    ]


def _caption_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    since_capture = [r.ages_since_capture_ms for r in sightline]
    return [
        Figure.over_rounds(
            "captions",
            "1/s",
            [[r.captions_per_s] for r in sightline],
            "asked for",
            [[1 / INTERVAL_S] for _ in sightline],
        ),
        Figure.over_rounds(
            "caption's age at the client",
            "ms",
            [r.ages_ms for r in sightline],
            "since the server had it",
            since_capture,
            Target(400.0, of="p95"),
        ),
        Figure.over_rounds(
            "caption's age since the server had it",
            "ms",
            since_capture,
            "preparing and captioning",
            [r.caption_total_ms for r in sightline],
        ),
        Figure.over_rounds(
            "from sending until the server has it",
            "ms",
            [r.capture_ms for r in sightline],
            "echo, there and back",
            [r.delays_ms for r in echo],
        ),
    ]


def _callback_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    def of(rounds: list[Round], phase: str, clock: str, value: str) -> list[list[float]]:
        return [[r.callbacks[phase][clock].get(value, 0.0)] for r in rounds]

    wanted = [
        ("longest callback, streaming", "ms", "streaming", "wall", "most", Target(20.0, of="most")),
        ("longest callback, streaming, CPU", "ms", "streaming", "cpu", "most", None),
        ("callbacks' p99.9, streaming", "ms", "streaming", "wall", "p99.9", None),
        ("callbacks' p99.9, streaming, CPU", "ms", "streaming", "cpu", "p99.9", None),
        ("callbacks over 20 ms, streaming", "", "streaming", "wall", "long", None),
        ("callbacks over 20 ms, streaming, CPU", "", "streaming", "cpu", "long", None),
        ("longest callback, opening", "ms", "opening", "wall", "most", Target(20.0, of="most")),
        ("longest callback, opening, CPU", "ms", "opening", "cpu", "most", None),
        ("longest callback, closing", "ms", "closing", "wall", "most", Target(20.0, of="most")),
        ("longest callback, closing, CPU", "ms", "closing", "cpu", "most", None),
    ]
    return [
        Figure.over_rounds(
            name,
            unit,
            of(sightline, phase, clock, value),
            "echo",
            of(echo, phase, clock, value),
            target,
        )
        for name, unit, phase, clock, value, target in wanted
    ]


def _summary(samples: list[float]) -> dict[str, float]:
    summary = Summary.of(samples)
    return {name: getattr(summary, name) for name in summary.__slots__}
