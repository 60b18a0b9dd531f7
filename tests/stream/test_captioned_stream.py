"""Tests of a captioned stream as a whole."""

import asyncio

import av
import numpy as np

from stream.captioned_stream import CaptionedStream
from stream.video.frame import Frame
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import stream_context
from tests.support.simulated_camera import photograph


def still(file: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(photograph(file), format="rgb24").reformat(format="yuv420p")


async def draw(stream: CaptionedStream, image: av.VideoFrame) -> bool:
    """Put a frame and return whether it is returned with something drawn on it."""
    stream.ingest.put(Frame(image))
    drawn = await stream.track.recv()
    is_same = np.array_equal(drawn.to_ndarray(format="yuv420p"), image.to_ndarray(format="yuv420p"))
    assert is_same == (stream.track.text_top == 1)
    return not is_same


async def draw_until_captioned(stream: CaptionedStream, image: av.VideoFrame) -> None:
    async with asyncio.timeout(60):
        while not await draw(stream, image):
            await asyncio.sleep(0.02)


async def test_a_caption_leaves_the_video_with_the_first_frame_of_another_scene() -> None:
    captions = ScriptedCaptions(confident_caption("A woman in a suit"))
    before, after = still("astronaut.png"), still("coffee.png")
    async with stream_context(captions) as context:
        stream = CaptionedStream("yard", context, interval_s=0.25)
        tops: list[float] = []
        stream.track.text_tops.subscribe(tops.append)
        running = asyncio.create_task(stream.run())
        await draw_until_captioned(stream, before)
        assert len(tops) == 1
        assert 0.8 < tops[0] < 0.95

        # No caption of the new scene comes for a while, and the old one does not come back.
        stream.sampler.interval_s = 3600
        await asyncio.sleep(0.1)
        shown = [await draw(stream, after)]
        for _ in range(20):
            await asyncio.sleep(0.01)
            shown.append(await draw(stream, after))
        assert not any(shown)
        assert tops[1:] == [1.0]

        stream.sampler.interval_s = 0.25
        await draw_until_captioned(stream, after)
        assert tops[2:] == tops[:1]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await stream.close()
