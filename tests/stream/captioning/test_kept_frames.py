"""Tests of kept and frozen frames."""

import asyncio
import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from models.preprocessing import Resizing, resize_to_square
from stream.captioning.kept_frames import MAX_KEPT_FRAMES, ClientFrames, FrameNotFound, KeptFrames
from stream.captioning.stream_captioner import CaptionedFrame
from stream.video.frame import Frame
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.simulated_camera import photograph

PIXELS = photograph("coffee.png")


def captioned() -> CaptionedFrame:
    image = av.VideoFrame.from_ndarray(PIXELS, format="rgb24").reformat(format="yuv420p")
    return CaptionedFrame(
        Frame(image, time.time()), confident_caption("A cup"), (4, 5, 2), 0.0, 0.0
    )


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def frames(executor: ThreadPoolExecutor) -> KeptFrames:
    return KeptFrames(executor)


def test_only_the_last_frames_are_kept(frames: KeptFrames) -> None:
    for seq in range(10):
        assert frames.keep(seq, captioned()).seq == seq

    assert [frames.find(seq).seq for seq in range(10 - MAX_KEPT_FRAMES, 10)] == list(
        range(10 - MAX_KEPT_FRAMES, 10)
    )
    for seq in (0, 9 - MAX_KEPT_FRAMES, 10, 2**40):
        with pytest.raises(FrameNotFound, match=f"caption {seq} .* freeze"):
            frames.find(seq)


def test_a_frozen_frame_is_kept_until_it_is_released_or_replaced(frames: KeptFrames) -> None:
    client_frames = ClientFrames(frames)
    frames.keep(0, captioned())
    client_frames.freeze(0)
    for seq in range(1, 8):
        frames.keep(seq, captioned())
    assert client_frames.find(0).seq == 0
    with pytest.raises(FrameNotFound):
        client_frames.freeze(2)
    assert client_frames.find(0).seq == 0

    client_frames.freeze(6)
    with pytest.raises(FrameNotFound):
        client_frames.find(0)
    client_frames.release()
    assert client_frames.find(6).seq == 6


async def test_the_image_is_the_captioners_and_the_jpeg_is_the_whole_frame(
    frames: KeptFrames,
) -> None:
    kept = frames.keep(0, captioned())
    whole = np.asarray(kept.captioned.frame.image.to_ndarray(format="rgb24"), np.uint8)

    info = replace(ScriptedCaptions.info, resizing=Resizing(260))
    assert np.array_equal(await kept.image(info), resize_to_square(whole, 260))
    jpeg = await kept.jpeg()
    assert jpeg[:2] == b"\xff\xd8"
    read = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert read is not None and read.shape == PIXELS.shape
    assert np.abs(read[..., ::-1].astype(int) - whole).mean() < 4


async def test_a_frame_is_converted_once_for_all_callers_also_if_one_is_cancelled(
    executor: ThreadPoolExecutor, frames: KeptFrames
) -> None:
    kept = frames.keep(0, captioned())
    free = asyncio.Event()
    loop = asyncio.get_running_loop()
    executor.submit(lambda: asyncio.run_coroutine_threadsafe(free.wait(), loop).result())
    requests = [asyncio.create_task(kept.jpeg()) for _ in range(20)]
    await asyncio.sleep(0.05)
    requests[0].cancel()
    free.set()
    jpegs = await asyncio.gather(*requests[1:])

    assert all(jpeg is jpegs[0] for jpeg in jpegs)
    assert await kept.jpeg() is jpegs[0]


def test_no_frame_is_held_beyond_the_limit(frames: KeptFrames) -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(each, CaptionedFrame) for each in gc.get_objects())

    before = held()
    client_frames = ClientFrames(frames)
    for seq in range(20):
        frames.keep(seq, captioned())
        if seq == 3:
            client_frames.freeze(3)
    assert held() == before + MAX_KEPT_FRAMES + 1
    frames.clear()
    assert held() == before + 1
    client_frames.release()
    assert held() == before


async def test_a_small_picture_shows_the_whole_frame(executor: ThreadPoolExecutor) -> None:
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, 320:] = 200
    frame = Frame(av.VideoFrame.from_ndarray(pixels, "rgb24"), time.time())
    captioned = CaptionedFrame(frame, confident_caption("A dog"), (1,), 0.0, 0.0)

    webp = await KeptFrames(executor).keep(0, captioned).small_picture()

    decoded = cv2.imdecode(np.frombuffer(webp, np.uint8), cv2.IMREAD_COLOR)
    assert webp[8:12] == b"WEBP" and decoded is not None
    assert decoded.shape == (288, 384, 3)
    assert decoded[:, :180].max() < 20 and decoded[:, 204:].min() > 180
