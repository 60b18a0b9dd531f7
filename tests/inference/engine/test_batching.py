"""Batching of caption requests that arrive while the worker is busy."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Caption
from inference.captioning.stream_state import FrameRequest
from inference.engine.batching import CaptionBatcher
from inference.engine.engine import Engine
from tests.inference.conftest import photographs

INVALID = np.zeros((120, 160), np.uint8)


@contextlib.contextmanager
def stopped(engine: Engine) -> Iterator[None]:
    """Suspend the worker, so that requests have to wait."""
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.pid, signal.SIGCONT)


async def request_captions(
    engine: Engine, images: Sequence[NDArray[np.uint8]], widths: Sequence[int | None]
) -> list[asyncio.Task[Caption]]:
    """Request captions, each in a task that has started."""
    tasks = []
    for image, width in zip(images, widths, strict=True):
        tasks.append(asyncio.create_task(engine.caption(image, width)))
        # So that the first is sent before the others arrive.
        await asyncio.sleep(0.01)
    return tasks


def batch_sizes(captions: Sequence[Caption]) -> list[int]:
    """Return the sizes of the batches, whose captions have exactly the same timing."""
    return list(Counter((c.timing_ms.encoder, c.timing_ms.decoder) for c in captions).values())


async def test_waiting_requests_are_captioned_together(engine: Engine) -> None:
    images = list(photographs(64))
    alone = [(await engine.caption(image)).text for image in images]

    with stopped(engine):
        tasks = await request_captions(engine, images, [None] * len(images))
    captions = await asyncio.gather(*tasks)

    # The first one was sent alone; of the others four at most are batched.
    assert batch_sizes(captions) == [1, 4, 1]
    assert [caption.text for caption in captions] == alone
    assert len(set(alone)) > 2


async def test_only_requests_of_one_beam_width_are_batched(engine: Engine) -> None:
    images = list(photographs(64))[:5]
    with stopped(engine):
        tasks = await request_captions(engine, images, [None, 2, None, 2, None])
    captions = await asyncio.gather(*tasks)

    assert batch_sizes(captions) == [1, 2, 2]
    assert captions[1].timing_ms == captions[3].timing_ms
    alone = [await engine.caption(p, w) for p, w in zip(images[1:3], (2, None), strict=True)]
    assert [caption.text for caption in captions[1:3]] == [caption.text for caption in alone]


async def test_a_refused_or_cancelled_request_does_not_affect_its_batch(
    engine: Engine,
) -> None:
    first, *images = photographs(64)[:4]
    with stopped(engine):
        tasks = await request_captions(engine, [first, images[0], INVALID, *images], [None] * 6)
        tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(answers[1], asyncio.CancelledError)
    assert isinstance(answers[2], ValueError)
    captions = [answer for answer in answers if isinstance(answer, Caption)]
    assert batch_sizes(captions) == [1, 3]
    alone = [(await engine.caption(image)).text for image in (first, *images)]
    assert [caption.text for caption in captions] == alone


async def test_a_request_cancelled_while_it_is_computed_does_not_affect_its_batch(
    engine: Engine,
) -> None:
    images = list(photographs(64))[:3]
    alone = [(await engine.caption(image)).text for image in images]

    tasks = await request_captions(engine, images, [None] * 3)
    await tasks[0]
    # The other two are in the worker now.
    await asyncio.sleep(0)
    tasks[1].cancel()

    assert (await tasks[2]).text == alone[2]
    assert (await engine.caption(images[1])).text == alone[1]


async def test_a_request_in_the_background_waits_for_live_frames_within_limits() -> None:
    batches: list[list[int]] = []
    batcher: CaptionBatcher
    tasks = []

    def request(number: int, *, background: bool = False) -> None:
        image = np.full((1, 1, 3), number, np.uint8)
        frame = FrameRequest(image, background=background)
        tasks.append(asyncio.create_task(batcher.caption(frame, None)))

    async def send(message: dict[str, Any], pixels: bytes) -> list[dict[str, Any]]:
        batches.append(list(pixels[::3]))
        if len(batches) < 9:
            for live in range(4):
                request(10 * len(batches) + live)
        await asyncio.sleep(0)
        return [{} for _ in message["frames"]]

    batcher = CaptionBatcher(send, RuntimeError)
    batcher.max_batch = 4
    request(200, background=True)
    for live in range(4):
        request(live)
    await asyncio.sleep(0)
    request(201, background=True)
    async with asyncio.timeout(30):
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)

    place = next(index for index, batch in enumerate(batches) if 200 in batch)
    assert place == 4, "after four full batches of live frames"
    assert batches[0] == [0, 1, 2, 3]
    assert batches[place][0] == 200 and 201 not in batches[place]
    assert all(200 not in batch[1:] for batch in batches)
