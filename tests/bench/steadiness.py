"""How calm captions are on a still scene, and how soon they tell of a cut or of an object.

Each second of a film is captioned twice: as a stream's next picture, and as a picture alone.
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
from models.language.content_words import content_words
from models.preprocessing import squeeze
from stream.captioning.stream_captioner import StreamCaptioner
from stream.video.frame import Frame
from tests.bench.child import ChildError
from tests.bench.figures import Figure, Target
from tests.bench.footage import footage_path, read_footage
from tests.bench.plan import Plan
from tests.support.camera import HEIGHT, PHOTOGRAPHS, WIDTH, Camera, Picture, photograph

CAMERAS = {
    "fixed": Camera(rate=2, bitrate=100_000),
    "fixed, dim light": Camera(noise=10, flicker=0.03, rate=2, bitrate=100_000),
    "held in the hand": Camera(noise=5, shake=3, rate=2, bitrate=100_000),
}
"""Few pictures a second, of as many bits each as usual: the codec takes most of the time here."""
_MINUTE = 60
_SETTLING_S = 16
"""What the codec takes to find its bits."""
_SHOT_S = 3
_OBJECT = (240, 180)
"""Width and height, in pixels: a seventh of the picture."""


@dataclass(frozen=True, slots=True)
class _Second:
    """What was said of a picture in both ways."""

    followed: Caption
    alone: str

    @property
    def searched(self) -> bool:
        return not self.followed.kept

    @property
    def encoded(self) -> bool:
        return self.followed.timing_ms.encoder > 0


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
            rounds = [await _round(engine, executor, number, plan) for number in range(plan.rounds)]
    except EngineUnavailable as problem:
        raise ChildError(str(problem)) from problem
    finally:
        await engine.stop()
    return {
        "settings": {"interval_s": 1.0, "photographs": list(PHOTOGRAPHS)},
        "figures": [*_calm(rounds), *_prompt(rounds)],
        "rounds": [
            {
                "changes_per_minute": {
                    name: {"followed": list(map(_changes, clips)), "alone": _alone(clips)}
                    for name, clips in measured["still"].items()
                },
                "captions_until_cut": measured["cuts"],
                "captions_until_object_seen": measured["objects"],
                "captions_until_object_told": measured["news"],
            }
            for measured in rounds
        ],
    }


async def _round(engine: Engine, executor: Executor, number: int, plan: Plan) -> dict[str, Any]:
    print(f"steadiness: round {number + 1} of {plan.rounds} ...", flush=True)
    views = [*map(photograph, PHOTOGRAPHS), *_views_of_footage()]
    still = {
        name: [
            await _caption(engine, executor, replace(camera, seed=number), repeat(scene, _MINUTE))
            for scene in views
        ]
        for name, camera in CAMERAS.items()
    }
    camera = replace(CAMERAS["fixed"], seed=number)
    np.random.default_rng(number).shuffle(views)
    shots = await _caption(engine, executor, camera, np.repeat(views, _SHOT_S, axis=0))
    entering = [
        await _caption(engine, executor, camera, [*repeat(empty, _SHOT_S), *repeat(held, _SHOT_S)])
        for empty, held in _with_objects(views)
    ]
    return {
        "still": still,
        "cuts": [_until_cut(shots, cut) for cut in range(_SHOT_S, len(shots), _SHOT_S)],
        "objects": [_until_seen(clip) for clip in entering],
        "news": [_until_told(clip) for clip in entering if _is_news(clip)],
    }


async def _caption(
    engine: Engine, executor: Executor, camera: Camera, scenes: Iterable[Picture]
) -> list[_Second]:
    """Film a scene a second, and caption the last picture of each second."""
    frames = await asyncio.to_thread(_film, camera, list(scenes))
    captioner = StreamCaptioner(engine, executor)
    assert engine.info
    seconds = []
    for second, frame in enumerate(frames):
        followed = await captioner.caption(Frame(frame, 0.0), float(second), None)
        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        alone = await engine.caption(squeeze(image, engine.info.image_size))
        seconds.append(_Second(followed.caption, alone.text))
    return seconds


def _film(camera: Camera, scenes: Sequence[Picture]) -> list[av.VideoFrame]:
    settling = repeat(scenes[0], _SETTLING_S * camera.rate)
    filmed = (scene for scene in scenes for _ in range(camera.rate))
    frames = camera.film([*settling, *filmed])
    return list(islice(frames, (_SETTLING_S + 1) * camera.rate - 1, None, camera.rate))


def _views_of_footage() -> list[Picture]:
    """Footage of bicycles, cut four times."""
    frames = read_footage(footage_path(), WIDTH, HEIGHT)
    return [
        np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        for frame in frames[:: len(frames) // 4][:4]
    ]


def _with_objects(views: Sequence[Picture]) -> list[tuple[Picture, Picture]]:
    """Each view, and the same with another in a corner."""
    width, height = _OBJECT
    pairs = []
    for empty, other in pairwise([*views, views[0]]):
        held = empty.copy()
        held[-height:, :width] = cv2.resize(other, _OBJECT, interpolation=cv2.INTER_AREA)
        pairs.append((empty, held))
    return pairs


def _changes(clip: Sequence[_Second]) -> int:
    return sum(one.followed.text != other.followed.text for one, other in pairwise(clip))


def _alone(clips: Sequence[Sequence[_Second]]) -> list[int]:
    return [sum(one.alone != other.alone for one, other in pairwise(clip)) for clip in clips]


def _until_cut(shots: Sequence[_Second], cut: int) -> int:
    """Captions until one says what is said of the new scene alone, the first of which counts 1."""
    shot = shots[cut : cut + _SHOT_S]
    return _until(shot, lambda second: second.followed.text == shot[0].alone)


def _until_seen(clip: Sequence[_Second]) -> int:
    """Captions until the captioner is given a picture with the object in it."""
    return _until(clip[_SHOT_S:], lambda second: second.encoded)


def _is_news(clip: Sequence[_Second]) -> bool:
    """Whether other things are said of the picture with the object, alone."""
    return content_words(clip[-1].alone) != content_words(clip[0].followed.text)


def _until_told(clip: Sequence[_Second]) -> int:
    """Captions until one says other things than those of the picture without the object."""
    before = content_words(clip[_SHOT_S - 1].followed.text)
    return _until(clip[_SHOT_S:], lambda second: content_words(second.followed.text) != before)


def _until(seconds: Sequence[_Second], arrived: Callable[[_Second], bool]) -> int:
    found = (count for count, second in enumerate(seconds, start=1) if arrived(second))
    return next(found, len(seconds) + 1)


def _calm(rounds: Sequence[dict[str, Any]]) -> list[Figure]:
    figures = []
    for name in CAMERAS:
        still = [measured["still"][name] for measured in rounds]
        figures += [
            Figure.over_rounds(
                f"changes a minute, {name}",
                "mean",
                [[statistics.mean(map(_changes, clips))] for clips in still],
                "each picture alone",
                [[statistics.mean(_alone(clips))] for clips in still],
                Target(1.0, of="most"),
            ),
            _share(f"encoded, {name}", still, lambda second: second.encoded),
            _share(f"searched for, {name}", still, lambda second: second.searched),
        ]
    return figures


def _share(
    name: str,
    rounds: Sequence[Sequence[Sequence[_Second]]],
    counted: Callable[[_Second], bool],
) -> Figure:
    shares = [[100 * sum(map(counted, clip)) / len(clip) for clip in clips] for clips in rounds]
    everything = [[100.0] * len(clips) for clips in rounds]
    return Figure.over_rounds(name, "% of pictures", shares, "each picture alone", everything)


def _prompt(rounds: Sequence[dict[str, Any]]) -> list[Figure]:
    measured = {
        "a cut shows": ("cuts", Target(1.0, of="most")),
        "an object is looked at": ("objects", Target(1.0, of="most")),
        "an object is told of": ("news", Target(2.0)),
    }
    return [
        Figure.over_rounds(
            f"captions until {what}",
            "",
            [list(map(float, each[key])) for each in rounds],
            target=target,
        )
        for what, (key, target) in measured.items()
    ]
