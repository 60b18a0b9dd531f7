"""Captions of single images: who waits for whom, and what is refused."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import numpy as np
import pytest
from PIL import Image

from inference.captioning.stream_state import FrameRequest, FrameResult
from stream.image_captions import ImageCaptions
from stream.load import Pressure
from stream.quota import Owner, QuotaExceeded, ShareExceeded
from stream.sources.source import SourceError
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import stream_context

ADMIN = Owner("192.0.2.99", is_admin=True, share=0.5)


def program(number: int) -> Owner:
    return Owner(f"192.0.2.{number}", is_admin=False, share=0.5)


class Recorder(ScriptedCaptions):
    """Records the images that it captions, by the red of their first pixel."""

    def __init__(self) -> None:
        super().__init__(confident_caption("A cup"))
        self.seen: list[int] = []
        self.at_once = self.most_at_once = 0
        self.shapes: set[tuple[int, ...]] = set()

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Record the image."""
        self.seen.append(int(request.image[0, 0, 0]))
        self.shapes.add(request.image.shape)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        return await super().caption_frame(request, beam_width)


@asynccontextmanager
async def image_captions(recorder: Recorder) -> AsyncIterator[ImageCaptions]:
    async with stream_context(recorder) as context:
        captions = ImageCaptions(context)
        yield captions
        captions.close()


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((50, 70, 3), red, np.uint8)).save(file, "PNG")
    return file.getvalue()


async def test_addresses_take_turns_and_one_image_is_captioned_at_a_time() -> None:
    recorder = Recorder()
    async with image_captions(recorder) as captions:

        async def caption(owner: Owner, red: int) -> None:
            with captions.admit(owner):
                async with captions.turn(owner):
                    await captions.caption(png(red))

        queued = [(program(1), red) for red in range(5)] + [(program(2), 100), (ADMIN, 200)]
        await asyncio.gather(*(caption(owner, red) for owner, red in queued))
        assert len(captions) == 0

    assert recorder.seen == [0, 100, 200, 1, 2, 3, 4]
    assert recorder.most_at_once == 1
    assert recorder.shapes == {(32, 32, 3)}, "the captioner's size"


async def test_an_address_gets_half_of_the_places() -> None:
    async with image_captions(Recorder()) as captions:
        with ExitStack() as admitted:
            for _ in range(8):
                admitted.enter_context(captions.admit(program(1)))
            with pytest.raises(ShareExceeded, match="its share of 8 caption requests"):
                admitted.enter_context(captions.admit(program(1)))
            admitted.enter_context(captions.admit(program(2)))
            admitted.enter_context(captions.admit(ADMIN))
            assert len(captions) == 10
        assert len(captions) == 0


async def test_an_overloaded_server_captions_no_images() -> None:
    async with stream_context(Recorder()) as context:
        captions, shedder = ImageCaptions(context), context.load._shedder
        for second in range(16):
            shedder.update(Pressure(lateness=1.0, lag_s=0.0), second)
        with pytest.raises(QuotaExceeded, match="too busy with live captions"):
            captions.admit(ADMIN)
        captions.close()


async def test_an_image_that_cannot_be_decoded_is_no_obstacle_to_the_next() -> None:
    async with image_captions(Recorder()) as captions:
        for data in (b"", b"hello", png(5)[:40]):
            with pytest.raises(SourceError, match=r"the image is (not an|damaged)"):
                async with captions.turn(ADMIN):
                    await captions.caption(data)
        async with captions.turn(ADMIN):
            assert (await captions.caption(png(5))).caption.text == "A cup"
