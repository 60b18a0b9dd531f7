import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from inference.explanations.map import Map
from stream.video.annotated_track import AnnotatedTrack
from stream.video.frame import Frame, Slot
from stream.video.heatmap_overlay import HeatOverlay
from stream.video.overlay import CaptionOverlay, Subtitle


def picture(shade: int = 90) -> Frame:
    image = av.VideoFrame.from_ndarray(np.full((240, 320, 3), shade, np.uint8), format="rgb24")
    image = image.reformat(format="yuv420p")
    image.pts = shade
    return Frame(image, time.time())


def luma(image: av.VideoFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image.to_ndarray(format="yuv420p"), np.uint8)


def no_heat() -> None:
    """Nothing over the picture but the caption."""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def until_drawn(track: AnnotatedTrack, frames: Slot[Frame], expected: Subtitle) -> None:
    """Return pictures until they carry the subtitle."""
    wanted = luma(CaptionOverlay().draw(picture().image, expected))
    for _ in range(200):
        frames.put(picture())
        if np.array_equal(luma(await track.recv()), wanted):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the subtitle was never drawn")


async def test_returns_each_picture_with_its_time_and_the_caption(
    pool: ThreadPoolExecutor,
) -> None:
    frames: Slot[Frame] = Slot()
    caption = Subtitle("A dog runs")
    track = AnnotatedTrack(frames, lambda: caption, no_heat, pool, pool)
    await until_drawn(track, frames, caption)

    frames.put(picture(100))
    returned = await track.recv()
    assert returned.pts == 100
    assert track.returned > 1


async def test_no_picture_waits_for_a_caption_to_be_typeset(pool: ThreadPoolExecutor) -> None:
    frames: Slot[Frame] = Slot()
    shown = Subtitle("A dog runs")
    with ThreadPoolExecutor(1) as busy:
        track = AnnotatedTrack(frames, lambda: shown, no_heat, pool, busy)
        await until_drawn(track, frames, shown)
        before, shown = shown, Subtitle("A dog jumps")
        free = threading.Event()
        busy.submit(free.wait)
        for _ in range(3):
            frames.put(picture())
            returned = await track.recv()
            expected = CaptionOverlay().draw(picture().image, before)
            assert np.array_equal(luma(returned), luma(expected))
        free.set()
        await until_drawn(track, frames, shown)


async def test_a_stopped_track_says_so(pool: ThreadPoolExecutor) -> None:
    track = AnnotatedTrack(Slot(), lambda: Subtitle(""), no_heat, pool, pool)
    track.stop()

    with pytest.raises(MediaStreamError):
        await track.recv()


HOT = Map(np.eye(5, dtype=np.float32))
COLD = Map(np.zeros((5, 5), np.float32))


async def until_same(track: AnnotatedTrack, frames: Slot[Frame], wanted: av.VideoFrame) -> None:
    """Return pictures until they look like this."""
    for _ in range(200):
        frames.put(picture())
        if np.array_equal(luma(await track.recv()), luma(wanted)):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was never drawn")


async def test_a_map_is_drawn_under_the_caption_and_switched_while_it_runs(
    pool: ThreadPoolExecutor,
) -> None:
    frames: Slot[Frame] = Slot()
    caption = Subtitle("A dog runs")
    heat: Map | None = None
    track = AnnotatedTrack(frames, lambda: caption, lambda: heat, pool, pool)
    captioned = CaptionOverlay().draw(picture().image, caption)
    both = CaptionOverlay().draw(HeatOverlay().draw(picture().image, HOT), caption)
    assert not np.array_equal(luma(captioned), luma(both))
    await until_same(track, frames, captioned)
    for chosen, expected in ((HOT, both), (None, captioned), (HOT, both), (COLD, captioned)):
        heat = chosen
        await until_same(track, frames, expected)


async def test_no_picture_waits_for_a_map_to_be_prepared(pool: ThreadPoolExecutor) -> None:
    frames: Slot[Frame] = Slot()
    heat: Map | None = None
    with ThreadPoolExecutor(1) as busy:
        track = AnnotatedTrack(frames, lambda: Subtitle(""), lambda: heat, pool, busy)
        heat, free = HOT, threading.Event()
        busy.submit(free.wait)
        for _ in range(3):
            frames.put(picture())
            assert np.array_equal(luma(await track.recv()), luma(picture().image))
        free.set()
        await until_same(track, frames, HeatOverlay().draw(picture().image, HOT))
