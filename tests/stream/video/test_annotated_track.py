"""Tests of the annotated video track."""

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
from stream.video.caption_overlay import CaptionOverlay, OverlayText
from stream.video.frame import Frame, Slot
from stream.video.heatmap_overlay import HeatmapOverlay


def shaded_frame(shade: int = 90) -> Frame:
    image = av.VideoFrame.from_ndarray(np.full((240, 320, 3), shade, np.uint8), format="rgb24")
    image = image.reformat(format="yuv420p")
    image.pts = shade
    return Frame(image, time.time())


def luma(image: av.VideoFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image.to_ndarray(format="yuv420p"), np.uint8)


def no_heatmap() -> None:
    """Return no heat map."""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def until_drawn(track: AnnotatedTrack, frames: Slot[Frame], expected: OverlayText) -> None:
    """Put frames until a returned one has the text."""
    expected_frame = luma(CaptionOverlay().draw(shaded_frame().image, expected))
    for _ in range(200):
        frames.put(shaded_frame())
        if np.array_equal(luma(await track.recv()), expected_frame):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the text was never drawn")


async def test_returns_each_frame_with_its_timestamp_and_the_caption(
    pool: ThreadPoolExecutor,
) -> None:
    frames: Slot[Frame] = Slot()
    caption = OverlayText("A dog runs")
    track = AnnotatedTrack(frames, lambda: caption, no_heatmap, pool, pool)
    await until_drawn(track, frames, caption)

    frames.put(shaded_frame(100))
    returned = await track.recv()
    assert returned.pts == 100
    assert track.returned > 1


async def test_no_frame_waits_for_a_caption_to_be_prepared(pool: ThreadPoolExecutor) -> None:
    frames: Slot[Frame] = Slot()
    shown = OverlayText("A dog runs")
    with ThreadPoolExecutor(1) as busy:
        track = AnnotatedTrack(frames, lambda: shown, no_heatmap, pool, busy)
        await until_drawn(track, frames, shown)
        before, shown = shown, OverlayText("A dog jumps")
        free = threading.Event()
        busy.submit(free.wait)
        for _ in range(3):
            frames.put(shaded_frame())
            returned = await track.recv()
            expected = CaptionOverlay().draw(shaded_frame().image, before)
            assert np.array_equal(luma(returned), luma(expected))
        free.set()
        await until_drawn(track, frames, shown)


async def test_a_stopped_track_raises(pool: ThreadPoolExecutor) -> None:
    track = AnnotatedTrack(Slot(), lambda: OverlayText(""), no_heatmap, pool, pool)
    track.stop()

    with pytest.raises(MediaStreamError):
        await track.recv()


HOT = Map(np.eye(5, dtype=np.float32))
COLD = Map(np.zeros((5, 5), np.float32))


async def until_same(
    track: AnnotatedTrack, frames: Slot[Frame], expected_frame: av.VideoFrame
) -> None:
    """Put frames until a returned one equals this one."""
    for _ in range(200):
        frames.put(shaded_frame())
        if np.array_equal(luma(await track.recv()), luma(expected_frame)):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the expected frame was never returned")


async def test_a_heatmap_is_drawn_under_the_caption_and_can_be_switched(
    pool: ThreadPoolExecutor,
) -> None:
    frames: Slot[Frame] = Slot()
    caption = OverlayText("A dog runs")
    heatmap: Map | None = None
    track = AnnotatedTrack(frames, lambda: caption, lambda: heatmap, pool, pool)
    captioned = CaptionOverlay().draw(shaded_frame().image, caption)
    both = CaptionOverlay().draw(HeatmapOverlay().draw(shaded_frame().image, HOT), caption)
    assert not np.array_equal(luma(captioned), luma(both))
    await until_same(track, frames, captioned)
    for chosen, expected in ((HOT, both), (None, captioned), (HOT, both), (COLD, captioned)):
        heatmap = chosen
        await until_same(track, frames, expected)


async def test_no_frame_waits_for_a_heatmap_to_be_prepared(pool: ThreadPoolExecutor) -> None:
    frames: Slot[Frame] = Slot()
    heatmap: Map | None = None
    with ThreadPoolExecutor(1) as busy:
        track = AnnotatedTrack(frames, lambda: OverlayText(""), lambda: heatmap, pool, busy)
        heatmap, free = HOT, threading.Event()
        busy.submit(free.wait)
        for _ in range(3):
            frames.put(shaded_frame())
            assert np.array_equal(luma(await track.recv()), luma(shaded_frame().image))
        free.set()
        await until_same(track, frames, HeatmapOverlay().draw(shaded_frame().image, HOT))


async def test_the_caption_can_be_left_out(pool: ThreadPoolExecutor) -> None:
    frames: Slot[Frame] = Slot()
    caption = OverlayText("A dog runs")
    track = AnnotatedTrack(frames, lambda: caption, no_heatmap, pool, pool)
    await until_drawn(track, frames, caption)

    track.mode = "plain"
    frames.put(shaded_frame())
    assert np.array_equal(luma(await track.recv()), luma(shaded_frame().image))

    track.mode = "annotated"
    await until_drawn(track, frames, caption)


async def test_while_it_is_off_nothing_is_drawn_or_returned(pool: ThreadPoolExecutor) -> None:
    frames: Slot[Frame] = Slot()
    drawn: list[str] = []

    def caption() -> OverlayText:
        drawn.append("caption")
        return OverlayText("")

    track = AnnotatedTrack(frames, caption, no_heatmap, pool, pool)
    track.mode = "off"
    received = asyncio.create_task(track.recv())
    for shade in (50, 60, 70):
        frames.put(shaded_frame(shade))
        await asyncio.sleep(0.05)
    assert not received.done() and not drawn
    assert (track.returned, frames.replaced) == (0, 0)

    track.mode = "annotated"
    frames.put(shaded_frame(100))
    assert (await received).pts == 100
