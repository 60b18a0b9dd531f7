"""The pictures that are kept to be studied."""

import asyncio
import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import cv2
import numpy as np
import pytest

from models.preprocessing import squeeze
from stream.captioning.kept_frames import KEPT, FrameGone, KeptFrames, StudiedFrames
from stream.captioning.stream_captioner import CaptionedFrame
from stream.video.frame import Frame
from tests.support.camera import photograph
from tests.support.captions import sure

PIXELS = photograph("coffee.png")


def captioned() -> CaptionedFrame:
    image = av.VideoFrame.from_ndarray(PIXELS, format="rgb24").reformat(format="yuv420p")
    return CaptionedFrame(Frame(image, time.time()), sure("A cup"), (4, 5, 2), 0.0, 0.0)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def frames(executor: ThreadPoolExecutor) -> KeptFrames:
    return KeptFrames(executor)


def test_the_last_few_can_be_had_and_older_ones_are_gone(frames: KeptFrames) -> None:
    for seq in range(10):
        assert frames.keep(seq, captioned()).seq == seq

    assert [frames.find(seq).seq for seq in range(10 - KEPT, 10)] == list(range(10 - KEPT, 10))
    for seq in (0, 9 - KEPT, 10, 2**40):
        with pytest.raises(FrameGone, match=f"caption {seq} .* freeze"):
            frames.find(seq)


def test_a_frozen_one_stays_until_it_is_released_or_another_is_frozen(frames: KeptFrames) -> None:
    studied = StudiedFrames(frames)
    frames.keep(0, captioned())
    studied.freeze(0)
    for seq in range(1, 8):
        frames.keep(seq, captioned())
    assert studied.find(0).seq == 0
    with pytest.raises(FrameGone):
        studied.freeze(2)
    assert studied.find(0).seq == 0

    studied.freeze(6)
    with pytest.raises(FrameGone):
        studied.find(0)
    studied.release()
    assert studied.find(6).seq == 6


async def test_the_picture_is_what_the_captioner_sees_and_the_jpeg_the_whole(
    frames: KeptFrames,
) -> None:
    kept = frames.keep(0, captioned())
    whole = np.asarray(kept.captioned.frame.image.to_ndarray(format="rgb24"), np.uint8)

    assert np.array_equal(await kept.picture(260), squeeze(whole, 260))
    jpeg = await kept.jpeg()
    assert jpeg[:2] == b"\xff\xd8"
    read = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert read is not None and read.shape == PIXELS.shape
    assert np.abs(read[..., ::-1].astype(int) - whole).mean() < 4


async def test_it_is_converted_once_however_many_ask_and_give_up(
    executor: ThreadPoolExecutor, frames: KeptFrames
) -> None:
    kept = frames.keep(0, captioned())
    free = asyncio.Event()
    loop = asyncio.get_running_loop()
    executor.submit(lambda: asyncio.run_coroutine_threadsafe(free.wait(), loop).result())
    asking = [asyncio.create_task(kept.jpeg()) for _ in range(20)]
    await asyncio.sleep(0.05)
    asking[0].cancel()
    free.set()
    found = await asyncio.gather(*asking[1:])

    assert all(jpeg is found[0] for jpeg in found)
    assert await kept.jpeg() is found[0]


def test_nothing_is_held_beyond_the_bound(frames: KeptFrames) -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(each, CaptionedFrame) for each in gc.get_objects())

    before = held()
    studied = StudiedFrames(frames)
    for seq in range(20):
        frames.keep(seq, captioned())
        if seq == 3:
            studied.freeze(3)
    assert held() == before + KEPT + 1
    frames.clear()
    assert held() == before + 1
    studied.release()
    assert held() == before
