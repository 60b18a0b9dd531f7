"""Benchmark of tracking: stability of captions on a still scene, and delay after a change.

Each second of a simulated recording is captioned twice: as the next frame of a stream ("tracked"),
and as an independent image.
"""

import asyncio
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, pairwise, repeat
from typing import Any

import av
import cv2
import numpy as np

from inference.captioning.caption import Caption
from inference.engine.engine import Engine
from inference.engine.service import EngineUnavailable
from models.language import content_words
from stream.captioning.stream_captioner import StreamCaptioner
from stream.video import Frame
from tests.bench.figures import Figure, Target
from tests.bench.plan import Plan
from tests.support.child_process import ChildError
from tests.support.load.footage import footage_path, read_footage
from tests.support.simulated_camera import (
    HEIGHT,
    PHOTOGRAPHS,
    WIDTH,
    Image,
    SimulatedCamera,
    photograph,
)

CAMERAS = {
    "fixed": SimulatedCamera(rate=2, bitrate=100_000),
    "fixed, dim light": SimulatedCamera(noise=10, flicker=0.03, rate=2, bitrate=100_000),
    "handheld": SimulatedCamera(noise=5, shake=3, rate=2, bitrate=100_000),
}
"""Few frames per second, at the usual number of bits each: encoding dominates the run time."""
_STILL_S = 60
_WARM_UP_S = 16
"""Until the codec's rate control has settled."""
_SHOT_S = 3
_OBJECT_SIZE = (240, 180)
"""Width and height, in pixels: a seventh of the frame's area."""


@dataclass(frozen=True, slots=True)
class _Second:
    """The tracked caption of a frame, and the text of the independent one."""

    tracked: Caption
    independent: str

    @property
    def searched(self) -> bool:
        return not self.tracked.kept

    @property
    def encoded(self) -> bool:
        return self.tracked.timing_ms.encoder > 0


async def measure(plan: Plan) -> dict[str, Any]:
    """Run the benchmark; return its `figures`, and `rounds` as JSON values.

    Raises:
        ChildError: If the captioner cannot be loaded.
    """
    engine = Engine(plan.captioner)
    engine.start()
    try:
        await engine.wait_loaded()
        with ThreadPoolExecutor(1) as executor:
            rounds = [
                await _measure_round(engine, executor, number, plan)
                for number in range(plan.rounds)
            ]
    except EngineUnavailable as problem:
        raise ChildError(str(problem)) from problem
    finally:
        await engine.stop()
    return {
        "settings": {"interval_s": 1.0, "photographs": list(PHOTOGRAPHS)},
        "figures": [*_stability_figures(rounds), *_delay_figures(rounds)],
        "rounds": [
            {
                "changes_per_minute": {
                    name: {
                        "tracked": list(map(_tracked_changes, clips)),
                        "independent": list(map(_independent_changes, clips)),
                    }
                    for name, clips in measured["still"].items()
                },
                "captions_until_cut": measured["cut"],
                "captions_until_object_encoded": measured["object_encoded"],
                "captions_until_object_captioned": measured["object_captioned"],
            }
            for measured in rounds
        ],
    }


async def _measure_round(
    engine: Engine, executor: Executor, number: int, plan: Plan
) -> dict[str, Any]:
    print(f"steadiness: round {number + 1} of {plan.rounds} ...", flush=True)
    scenes = [*map(photograph, PHOTOGRAPHS), *_scenes_of_footage()]
    still = {
        name: [
            await _caption(engine, executor, replace(camera, seed=number), repeat(scene, _STILL_S))
            for scene in scenes
        ]
        for name, camera in CAMERAS.items()
    }
    camera = replace(CAMERAS["fixed"], seed=number)
    np.random.default_rng(number).shuffle(scenes)
    shots = await _caption(engine, executor, camera, np.repeat(scenes, _SHOT_S, axis=0))
    appearing = [
        await _caption(
            engine, executor, camera, [*repeat(without, _SHOT_S), *repeat(with_object, _SHOT_S)]
        )
        for without, with_object in _add_objects(scenes)
    ]
    return {
        "still": still,
        "cut": [_captions_until_cut(shots, cut) for cut in range(_SHOT_S, len(shots), _SHOT_S)],
        "object_encoded": [_captions_until_encoded(clip) for clip in appearing],
        "object_captioned": [
            _captions_until_captioned(clip) for clip in appearing if _changes_the_caption(clip)
        ],
    }


async def _caption(
    engine: Engine, executor: Executor, camera: SimulatedCamera, scenes: Iterable[Image]
) -> list[_Second]:
    """Record one scene per second, and caption the last frame of each second."""
    frames = await asyncio.to_thread(_record, camera, list(scenes))
    captioner = StreamCaptioner(engine, executor)
    assert engine.info
    seconds = []
    for second, frame in enumerate(frames):
        tracked = await captioner.caption(Frame(frame, 0.0), float(second), None)
        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        independent = await engine.caption(engine.info.resizing.apply(image))
        seconds.append(_Second(tracked.caption, independent.text))
    return seconds


def _record(camera: SimulatedCamera, scenes: Sequence[Image]) -> list[av.VideoFrame]:
    warm_up = repeat(scenes[0], _WARM_UP_S * camera.rate)
    recorded = (scene for scene in scenes for _ in range(camera.rate))
    frames = camera.record([*warm_up, *recorded])
    return list(islice(frames, (_WARM_UP_S + 1) * camera.rate - 1, None, camera.rate))


def _scenes_of_footage() -> list[Image]:
    """Return four frames of people on bicycles."""
    frames = read_footage(footage_path(), WIDTH, HEIGHT)
    return [
        np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        for frame in frames[:: len(frames) // 4][:4]
    ]


def _add_objects(scenes: Sequence[Image]) -> list[tuple[Image, Image]]:
    """Pair each scene with a copy that shows the next scene in a corner."""
    width, height = _OBJECT_SIZE
    pairs = []
    for without, other in pairwise([*scenes, scenes[0]]):
        with_object = without.copy()
        with_object[-height:, :width] = cv2.resize(
            other, _OBJECT_SIZE, interpolation=cv2.INTER_AREA
        )
        pairs.append((without, with_object))
    return pairs


def _tracked_changes(clip: Sequence[_Second]) -> int:
    return sum(one.tracked.text != other.tracked.text for one, other in pairwise(clip))


def _independent_changes(clip: Sequence[_Second]) -> int:
    return sum(one.independent != other.independent for one, other in pairwise(clip))


def _captions_until_cut(shots: Sequence[_Second], cut: int) -> int:
    """Count captions until one equals the new scene's independent caption; the first counts 1."""
    shot = shots[cut : cut + _SHOT_S]
    return _count_until(shot, lambda second: second.tracked.text == shot[0].independent)


def _captions_until_encoded(clip: Sequence[_Second]) -> int:
    """Count captions until a frame with the object is encoded."""
    return _count_until(clip[_SHOT_S:], lambda second: second.encoded)


def _changes_the_caption(clip: Sequence[_Second]) -> bool:
    """Return whether the object changes the content words of the independent caption."""
    return content_words(clip[-1].independent) != content_words(clip[0].tracked.text)


def _captions_until_captioned(clip: Sequence[_Second]) -> int:
    """Count captions until the content words differ from those without the object."""
    before = content_words(clip[_SHOT_S - 1].tracked.text)
    return _count_until(clip[_SHOT_S:], lambda second: content_words(second.tracked.text) != before)


def _count_until(seconds: Sequence[_Second], condition: Callable[[_Second], bool]) -> int:
    counts = (count for count, second in enumerate(seconds, start=1) if condition(second))
    return next(counts, len(seconds) + 1)


def _stability_figures(rounds: Sequence[dict[str, Any]]) -> list[Figure]:
    figures = []
    for name in CAMERAS:
        still = [measured["still"][name] for measured in rounds]
        figures += [
            Figure.over_rounds(
                f"caption changes per minute, {name}",
                "mean",
                [[statistics.mean(map(_tracked_changes, clips))] for clips in still],
                "independent images",
                [[statistics.mean(map(_independent_changes, clips))] for clips in still],
                Target(1.0, statistic="maximum"),
            ),
            _share(f"encoded, {name}", still, lambda second: second.encoded),
            _share(f"beam search, {name}", still, lambda second: second.searched),
        ]
    return figures


def _share(
    name: str,
    rounds: Sequence[Sequence[Sequence[_Second]]],
    condition: Callable[[_Second], bool],
) -> Figure:
    shares = [[100 * sum(map(condition, clip)) / len(clip) for clip in clips] for clips in rounds]
    baseline = [[100.0] * len(clips) for clips in rounds]
    return Figure.over_rounds(name, "% of frames", shares, "independent images", baseline)


def _delay_figures(rounds: Sequence[dict[str, Any]]) -> list[Figure]:
    events = {
        "a cut is captioned": ("cut", Target(1.0, statistic="maximum")),
        "an object is encoded": ("object_encoded", Target(1.0, statistic="maximum")),
        "an object is captioned": ("object_captioned", Target(2.0)),
    }
    return [
        Figure.over_rounds(
            f"captions until {event}",
            "",
            [list(map(float, measured[key])) for measured in rounds],
            target=target,
        )
        for event, (key, target) in events.items()
    ]
