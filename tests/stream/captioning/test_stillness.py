"""Tests of stillness: what a camera adds does not count, what enters the scene does."""

from collections.abc import Iterator
from itertools import islice, repeat

import av
import cv2
import numpy as np
import pytest

from stream.captioning.stillness import SIDE, Thumbnail, is_still, thumbnail
from tests.support.simulated_camera import (
    HEIGHT,
    PHOTOGRAPHS,
    WIDTH,
    Image,
    SimulatedCamera,
    photograph,
)

WARM_UP = 10
"""Frames until the codec's rate control has settled."""


def thumbnail_of(scene: Image) -> Thumbnail:
    return thumbnail(av.VideoFrame.from_ndarray(np.ascontiguousarray(scene), format="rgb24"))


def film(camera: SimulatedCamera, scene: Image, count: int) -> Iterator[Thumbnail]:
    frames = camera.record(repeat(scene, WARM_UP + count))
    return map(thumbnail, islice(frames, WARM_UP, None))


@pytest.mark.parametrize("file", PHOTOGRAPHS)
@pytest.mark.parametrize(
    "camera",
    [
        SimulatedCamera(),
        SimulatedCamera(noise=10, flicker=0.04),
        SimulatedCamera(bitrate=150_000),
        SimulatedCamera(shake=0.3),
    ],
    ids=["usual", "dim", "starved", "shaken"],
)
def test_noise_of_a_camera_and_its_codec_is_nothing_new(camera: SimulatedCamera, file: str) -> None:
    reference, *others = film(camera, photograph(file), 20)

    assert all(is_still(reference, other) for other in others)


def test_every_other_scene_is_new() -> None:
    scenes = [thumbnail_of(photograph(file)) for file in PHOTOGRAPHS]

    for number, one in enumerate(scenes):
        for other in scenes[:number]:
            assert not is_still(one, other)
            assert not is_still(other, one)


@pytest.mark.parametrize("file", PHOTOGRAPHS)
def test_an_object_of_a_hundredth_of_the_frame_is_new_anywhere(file: str) -> None:
    scene = photograph(file)
    reference = next(film(SimulatedCamera(), scene, 1))
    for x, y in ((0, 0), (300, 200), (WIDTH - 64, HEIGHT - 48)):
        place = scene[y : y + 48, x : x + 64]
        held = scene.copy()
        held[y : y + 48, x : x + 64] = 255 if place.mean() < 128 else 0
        assert not is_still(reference, next(film(SimulatedCamera(), held, 1))), (x, y)


def test_another_colour_of_the_same_brightness_is_new() -> None:
    scene = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    held = scene.copy()
    held[200:260, 300:360] = 200, 90, 60

    assert abs(float(np.ptp(thumbnail_of(held)[..., 0]))) < 6
    assert not is_still(thumbnail_of(scene), thumbnail_of(held))


def test_the_light_may_change_a_little_but_not_go_out() -> None:
    scene = photograph("coffee.png")
    plain = np.full((HEIGHT, WIDTH, 3), 150, np.uint8)

    def lit(picture: Image, by: float) -> Thumbnail:
        return thumbnail_of(np.clip(picture * by, 0, 255).astype(np.uint8))

    for picture in (scene, plain):
        assert is_still(thumbnail_of(picture), thumbnail_of(picture))
        assert is_still(thumbnail_of(picture), lit(picture, 0.92))
    assert is_still(thumbnail_of(scene), lit(scene, 0.85))
    assert not is_still(thumbnail_of(scene), lit(scene, 0.3))
    assert not is_still(thumbnail_of(plain), lit(plain, 0.3))


def test_a_faint_shadow_over_half_the_frame_is_new() -> None:
    scene = photograph("motorcycle_left.png")
    held = scene.copy()
    held[:, : WIDTH // 2] -= np.minimum(held[:, : WIDTH // 2], 14)

    assert not is_still(thumbnail_of(scene), thumbnail_of(held))


def test_a_slow_change_is_new_before_it_is_over() -> None:
    first, last = (photograph(file).astype(float) for file in PHOTOGRAPHS[:2])
    steps = [
        thumbnail_of((first + (last - first) * share).astype(np.uint8)) for share in (0, 0.02, 0.2)
    ]

    assert is_still(steps[0], steps[1])
    assert not is_still(steps[0], steps[2])


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "rgb24", "gray", "yuvj420p"])
@pytest.mark.parametrize("size", [(640, 480), (33, 17), (8, 6)])
def test_a_thumbnail_can_be_made_of_any_frame(form: str, size: tuple[int, int]) -> None:
    scene = cv2.resize(photograph("chelsea.png"), size, interpolation=cv2.INTER_AREA)
    pixels = np.asarray(scene, np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=form)
    small = thumbnail(frame)

    assert small.shape == (SIDE, SIDE, 3)
    assert is_still(small, thumbnail(frame))


def test_a_cell_is_the_mean_of_its_part_of_the_frame() -> None:
    scene = photograph("rocket.jpg")
    frame = av.VideoFrame.from_ndarray(scene, format="rgb24").reformat(format="yuv420p")
    luma = frame.to_ndarray()[:HEIGHT]
    cells = luma.reshape(SIDE, HEIGHT // SIDE, SIDE, WIDTH // SIDE).mean(axis=(1, 3))

    assert np.abs(thumbnail(frame)[..., 0] + 16 - cells).max() < 1.5
