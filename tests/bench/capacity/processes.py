"""Sessions over media processes: a fixed number of sessions with and without them, in turn."""

import asyncio
from typing import Any

from stream.media import media_process_count
from stream.settings import StreamSettings
from tests.bench.capacity import load
from tests.bench.capacity.benchmark import measure_level, opened_server
from tests.bench.capacity.codec_floor import codec_floor_ms
from tests.bench.capacity.level import Level
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.support.child_process import ChildError

SESSIONS = 16
_COUNTS = {"in the server's process": 0, "in media processes": 2}
_MIN_FRAME_RATE = Target(0.95, at_least=True)
_MIN_CAPTION_RATE = Target(0.95, at_least=True)


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If a process fails.
    """
    rounds: list[dict[str, Level]] = []
    floors: dict[int, list[float]] = {1: [], SESSIONS: []}
    for number in range(plan.rounds):
        print(f"processes: round {number + 1} of {plan.rounds}", flush=True)
        for sessions, floor in floors.items():
            floor.append(await asyncio.to_thread(codec_floor_ms, sessions))
        rounds.append({name: await _measure(plan, count) for name, count in _COUNTS.items()})
    return {
        "settings": {
            "sessions": SESSIONS,
            "frames_per_s": load.RATE,
            "interval_s": load.INTERVAL_S,
        },
        "figures": process_figures(rounds, floors),
        "floor_ms": floors,
        "rounds": [{name: level.to_json() for name, level in each.items()} for each in rounds],
    }


def process_figures(rounds: list[dict[str, Level]], floors: dict[int, list[float]]) -> list[Figure]:
    """Compute the figures from the levels of each round.

    Args:
        rounds: The levels, by the place of the video.
        floors: In each round, the time of decoding and encoding a frame in ms, by the number of
            sessions whose frames are decoded and encoded in turn.
    """
    figures = []
    # The target is for what the server does by default on this machine.
    is_spread = media_process_count(StreamSettings()) > 0
    with_target = list(_COUNTS)[is_spread]
    for name in _COUNTS:
        levels = [each[name] for each in rounds]
        is_target = name == with_target
        figures += [
            Figure.over_rounds(
                f"returned frames, {name}",
                "",
                [[level.returned] for level in levels],
                target=_MIN_FRAME_RATE if is_target else None,
            ),
            Figure.over_rounds(
                f"captions at the configured rate, {name}",
                "",
                [[level.captions_per_s * load.INTERVAL_S] for level in levels],
                target=_MIN_CAPTION_RATE if is_target else None,
            ),
        ]
        for sessions, floor in floors.items():
            of_many = "" if sessions == 1 else f", as codecs of {sessions} in turn"
            figures.append(
                Figure.over_rounds(
                    f"CPU of all processes with video for a returned frame, {name}",
                    "ms",
                    [[_frame_ms(level)] for level in levels],
                    compared_to=f"decoding and encoding it{of_many}",
                    baseline=[[each] for each in floor],
                )
            )
        for process in ("front", "server", "engine", "load"):
            used = [[level.cpu[process]] for level in levels]
            figures.append(Figure.over_rounds(f"cores of {process}, {name}", "", used))
    return figures


def _frame_ms(level: Level) -> float:
    frames_per_s = level.returned * load.RATE * level.sessions
    return level.cpu["server"] / frames_per_s * 1e3


async def _measure(plan: Plan, media_processes: int) -> Level:
    async with opened_server(plan, media_processes=media_processes) as (server, client):
        level = await measure_level(SESSIONS, server, client, plan.seconds)
        print(f"processes: {media_processes}: {level}", flush=True)
    if level.problem:
        raise ChildError(level.problem)
    return level
