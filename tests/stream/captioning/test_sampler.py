"""Tests of the sampler, with the real engine."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import av
import numpy as np

from inference.engine.engine import Engine
from stream.captioning.sampler import Sampler
from stream.captioning.stream_captioner import CaptionedFrame
from stream.video.frame import Frame, Slot


def frame_of(shade: int) -> Frame:
    pixels = np.full((48, 64, 3), shade, np.uint8)
    pixels[:, 32:] = shade + 90  # One shade alone is blank.
    return Frame(av.VideoFrame.from_ndarray(pixels, format="rgb24"), time.time())


@asynccontextmanager
async def sampling(
    engine: Engine, frames: Slot[Frame], interval_s: float
) -> AsyncIterator[tuple[Sampler, Slot[CaptionedFrame]]]:
    published: Slot[CaptionedFrame] = Slot()
    with ThreadPoolExecutor(1) as executor:
        sampler = Sampler(frames, engine, published.put, executor, interval_s, None)
        task = asyncio.create_task(sampler.run())
        yield sampler, published
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_captions_the_newest_frame(engine: Engine) -> None:
    frames: Slot[Frame] = Slot()
    shaded = [frame_of(shade) for shade in (0, 80, 160)]
    for each in shaded:
        frames.put(each)

    async with sampling(engine, frames, 10) as (_, published):
        captioned = await published.take()

    assert captioned.frame is shaded[-1]
    assert captioned.caption.text or captioned.caption.guess
    assert captioned.prepare_ms > 0
    assert captioned.wait_ms >= 0


async def test_keeps_the_interval_and_applies_a_change_at_once(engine: Engine) -> None:
    frames: Slot[Frame] = Slot()
    async with sampling(engine, frames, 30) as (sampler, published):
        frames.put(frame_of(0))
        await published.take()
        frames.put(frame_of(80))
        waiting = asyncio.create_task(published.take())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        sampler.interval_s = 0.01

        caption = (await asyncio.wait_for(waiting, 10)).caption
        assert caption.text or caption.guess


async def test_uses_the_beam_width_that_was_set(engine: Engine) -> None:
    frames: Slot[Frame] = Slot()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    async with sampling(engine, frames, 0.01) as (sampler, published):
        sampler.beam_width = 1
        frames.put(Frame(av.VideoFrame.from_ndarray(noise, format="rgb24"), time.time()))
        greedy = (await published.take()).caption

    assert greedy.text == (await engine.caption(noise, beam_width=1)).text
    for word in greedy.words:
        assert word.prob is not None
        assert all(word.prob >= other.prob for other in word.alternatives)
