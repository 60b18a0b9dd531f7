"""The demo clip."""

import itertools
import re
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from stream.sources.demo import PHOTOGRAPHS, SCENE_S, SCENES, Crop, DemoSource
from stream.video.frame import yuv_planes

PAGE = Path(__file__).parents[3] / "web" / "templates" / "index.html.jinja"
MAX_SIDE = 960
MAX_BYTES = 500_000
"""Of all photographs together."""


def luma(frame: av.VideoFrame) -> NDArray[np.float32]:
    return yuv_planes(frame)[0].astype(np.float32)


def difference(one: av.VideoFrame, other: av.VideoFrame) -> float:
    return float(abs(luma(one) - luma(other)).mean())


@pytest.mark.parametrize("size", [(640, 480), (160, 120), (480, 640), (321, 241)])
def test_frames_have_the_given_size(size: tuple[int, int]) -> None:
    frame = DemoSource(*size).frame_at(1.0)
    assert (frame.width, frame.height) == size
    assert frame.format.name == "yuv420p"


def test_a_position_always_gives_the_same_frame() -> None:
    one, other = DemoSource(160, 120), DemoSource(160, 120)
    later = one.frame_at(9.0)
    for plane, again in zip(yuv_planes(later), yuv_planes(other.frame_at(9.0)), strict=True):
        assert np.array_equal(plane, again)
    assert difference(later, one.frame_at(9.0 + SCENE_S * len(SCENES))) == 0.0


def test_every_scene_moves_without_a_jump_and_is_cut_hard() -> None:
    source = DemoSource(160, 120)
    count = round(SCENE_S * 25)
    for number in range(len(SCENES)):
        frames = [source.frame_at(number * SCENE_S + n / 25) for n in range(count)]
        steps = [difference(one, two) for one, two in itertools.pairwise(frames)]
        cut = difference(frames[-1], source.frame_at((number + 1) * SCENE_S))
        assert 0.0 < max(steps) < 10.0
        assert max(steps) < 4 * np.median(steps) + 0.1
        assert cut > 20.0
        assert cut > 3 * max(steps)
        assert difference(frames[0], frames[-1]) > 3 * max(steps)


def test_the_camera_moves_steadily() -> None:
    source = DemoSource()
    window = cv2.createHanningWindow((640, 480), cv2.CV_32F)
    for number in range(len(SCENES)):
        middle = (number + 0.5) * SCENE_S
        frames = [luma(source.frame_at(middle + n / 25)) for n in range(-6, 6)]
        shifts = np.array(
            [cv2.phaseCorrelate(one, two, window)[0] for one, two in itertools.pairwise(frames)]
        )
        assert np.ptp(shifts, axis=0).max() < 0.5, SCENES[number].file


@pytest.mark.parametrize("number", range(len(SCENES)))
def test_the_photographs_are_shown(number: int) -> None:
    scene = SCENES[number]
    with Image.open(PHOTOGRAPHS / scene.file) as file:
        photograph = file.convert("RGB")
    for crop, time_in_scene in ((scene.first, 0.0), (scene.last, SCENE_S - 0.01)):
        left, top, size = crop.to_pixels(*photograph.size, 4 / 3)
        box = (left, top, left + size, top + size * 3 / 4)
        expected = np.asarray(photograph.resize((640, 480), Image.Resampling.BICUBIC, box))
        frame = DemoSource().frame_at(number * SCENE_S + time_in_scene)
        shown = frame.to_ndarray(format="rgb24")
        # Blurred, because chroma subsampling loses fine detail.
        differences = cv2.blur(shown, (5, 5)).astype(int) - cv2.blur(expected, (5, 5))
        assert abs(differences).mean() < 3.0


@settings(deadline=None)
@given(
    progress=st.floats(0, 1),
    width=st.integers(16, 3000),
    height=st.integers(16, 3000),
    aspect=st.floats(0.3, 3.0),
)
def test_no_crop_exceeds_its_photograph(
    progress: float, width: int, height: int, aspect: float
) -> None:
    for scene in SCENES:
        first = np.array(scene.first.to_pixels(width, height, aspect))
        last = np.array(scene.last.to_pixels(width, height, aspect))
        left, top, size = first + (last - first) * progress
        assert left >= -1e-6
        assert top >= -1e-6
        assert left + size <= width + 1e-6
        assert top + size / aspect <= height + 1e-6


def test_crops_convert_to_pixels() -> None:
    assert Crop(2.0, 0.0, 1.0).to_pixels(400, 300, 4 / 3) == pytest.approx((0.0, 150.0, 200.0))
    assert Crop(1.0, 1.0, 0.0).to_pixels(600, 300, 1.0) == pytest.approx((300.0, 0.0, 300.0))


def test_each_photograph_is_small_and_in_a_scene() -> None:
    files = sorted(PHOTOGRAPHS.glob("*.webp"))
    assert [file.name for file in files] == sorted(scene.file for scene in SCENES)
    assert sum(file.stat().st_size for file in files) <= MAX_BYTES
    for file in files:
        with Image.open(file) as image:
            assert max(image.size) <= MAX_SIDE


def test_each_photograph_is_credited_beside_it_and_on_the_page() -> None:
    """With what it shows, its source, its licence, and what was changed."""
    text = (PHOTOGRAPHS / "CREDITS.md").read_text()
    rows = dict(re.findall(r"^\| `(\S+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows.keys() == {scene.file for scene in SCENES}
    credits = re.search(r'<details id="demo-credits".*?</details>', PAGE.read_text(), re.DOTALL)
    assert credits
    entries = re.findall(r"<li>(.*?)</li>", credits[0], re.DOTALL)
    assert len(entries) == len(rows)
    for (shows, source, licence), entry in zip(
        (row.split(" | ") for row in rows.values()), entries, strict=True
    ):
        assert entry.startswith(f"{shows}:")
        links = re.findall(r'href="(\S+)"', entry)
        assert f"]({links[0]})" in source
        assert f"]({links[1]})" in licence
        assert links[1].startswith("https://creativecommons.org/")
    for place in (text, credits[0]):
        assert re.search(r"converted to WebP.*cropped", place, re.DOTALL | re.IGNORECASE)


def test_only_the_last_scene_is_a_mistake_and_states_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(scene.note for scene in SCENES[:-1])
    assert "mistake" in SCENES[-1].note
    scene_s = 0.05
    monkeypatch.setattr("stream.sources.demo.SCENE_S", scene_s)
    with DemoSource(64, 48, rate=100) as source:
        # A slow machine may skip a scene, but not each time.
        for frame in source.frames():
            number = int(frame.position_s // scene_s) % len(SCENES)
            assert frame.to_frame().note == SCENES[number].note
            if number == len(SCENES) - 1:
                break


def test_frames_arrive_in_real_time() -> None:
    source = DemoSource(64, 48, rate=50)
    started = time.time()
    frames = source.frames()
    taken = [next(frames) for _ in range(10)]
    ended = time.time()
    source.close()
    assert source.live
    positions = [frame.position_s for frame in taken]
    assert positions == sorted(set(positions))
    assert ended - started >= 9 / 50 * 0.99
    for frame in taken:
        assert frame.image.time == pytest.approx(frame.position_s)
        assert started - 0.01 <= frame.captured <= ended
        assert difference(frame.image, source.frame_at(frame.position_s)) == 0.0


def test_frames_are_skipped_for_a_slow_reader() -> None:
    with DemoSource(64, 48, rate=200) as source:
        frames = source.frames()
        first = next(frames)
        time.sleep(0.2)
        second = next(frames)
    assert second.position_s - first.position_s >= 0.15


def test_closing_ends_the_frames() -> None:
    source = DemoSource(64, 48)
    started = threading.Event()

    def read() -> None:
        for _ in source.frames():
            started.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(5)
    source.close()
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert list(source.frames()) == []
