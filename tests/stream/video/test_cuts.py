"""Tests of the detection of cuts, on real footage, photographs and a simulated camera."""

from itertools import count, pairwise, permutations, repeat
from pathlib import Path

import av
import numpy as np

from stream.sources.demo import SCENE_S, SCENES, DemoSource
from stream.video.cuts import CutDetector
from tests.support.simulated_camera import PHOTOGRAPHS, SimulatedCamera, photograph

CUTS = [30, 76, 137, 187, 242]
"""The first frames of the footage's scenes after the first, as seen."""


def shaded(shade: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), format="rgb24")


def test_the_cuts_of_footage_are_found_and_nothing_else(footage: Path) -> None:
    detector = CutDetector()
    with av.open(str(footage)) as source:
        found = [
            number
            for number, frame in enumerate(source.decode(video=0))
            if detector.is_cut(frame, number / 25)
        ]

    assert found == CUTS


def test_every_scene_of_the_demo_and_every_photograph_is_a_cut() -> None:
    demo = DemoSource()
    ends = [(each * SCENE_S - 0.04, each * SCENE_S) for each in range(1, len(SCENES) + 1)]
    pairs = [(demo.frame_at(before), demo.frame_at(after)) for before, after in ends]
    images = [av.VideoFrame.from_ndarray(photograph(file), format="rgb24") for file in PHOTOGRAPHS]

    for before, after in (*pairs, *permutations(images, 2)):
        detector = CutDetector()
        assert not detector.is_cut(before, 0.0)
        assert detector.is_cut(after, 0.04)


def test_noise_flicker_shake_and_exposure_are_no_cuts() -> None:
    detector = CutDetector()
    scene = photograph("coffee.png")
    darker = (scene * 0.4).astype(np.uint8)
    camera = SimulatedCamera(noise=10, flicker=0.1, shake=8)
    frames = camera.record([*repeat(scene, 15), *repeat(darker, 15), *repeat(scene, 15)])

    assert not any(detector.is_cut(frame, at / 10) for at, frame in zip(count(), frames))


def test_frames_of_one_colour_have_no_cut_between_them() -> None:
    detector = CutDetector()

    assert not any(detector.is_cut(shaded(shade), shade) for shade in (0, 255, 128))


def test_frames_that_are_far_apart_are_not_compared() -> None:
    detector = CutDetector()
    images = [
        av.VideoFrame.from_ndarray(photograph(file), format="rgb24") for file in PHOTOGRAPHS[:2]
    ]
    for (before, then), (after, now) in pairwise(zip(images, (0.0, 3.5), strict=True)):
        assert not detector.is_cut(before, then)
        assert not detector.is_cut(after, now)
