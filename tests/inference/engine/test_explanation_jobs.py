"""Explanations and checks in the worker, beside captions."""

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from inference.captioning.stream_state import FrameRequest
from inference.engine.engine import Engine
from inference.engine.process import EngineTiming
from inference.engine.service import EngineBusy, EngineUnavailable, ExplanationResult
from inference.explanations.map import RoughMap
from inference.explanations.target import Target
from inference.progress import Progress
from models.catalogue import SHIPPED_FOLDER
from tests.inference.conftest import photographs

IMAGE = photographs(260)[1]
SLOW = "rise"
"""A method with many slices."""
CAPTION = Target("caption")
IDLE_S = 6.0
"""How long a worker may owe an answer, and may have nothing to do for any time."""
_images = itertools.count(1)


def new_image() -> NDArray[np.uint8]:
    """Return an image as IMAGE that was not explained yet: what was computed of one is kept."""
    image = np.array(IMAGE, np.uint8)
    image[0, 0, :2] = divmod(next(_images), 256)
    return image


async def tokens_of(engine: Engine) -> tuple[int, ...]:
    return (await engine.caption_frame(FrameRequest(IMAGE, maps=False))).state.tokens


def begin(
    engine: Engine,
    tokens: tuple[int, ...],
    method: str = SLOW,
    image: NDArray[np.uint8] = IMAGE,
) -> asyncio.Task[ExplanationResult]:
    return asyncio.create_task(engine.explain(image, tokens, method, CAPTION))


@contextlib.asynccontextmanager
async def under_way(
    engine: Engine, count: int
) -> AsyncIterator[list[asyncio.Task[ExplanationResult]]]:
    """Run slow explanations, which are cancelled in the end."""
    tokens = await tokens_of(engine)
    tasks = [begin(engine, tokens, image=new_image()) for _ in range(count)]
    await asyncio.sleep(0)
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until_idle(engine)


async def until_idle(engine: Engine) -> None:
    async with asyncio.timeout(30):
        while engine.jobs:
            await asyncio.sleep(0.01)


async def test_the_methods_are_listed(engine: Engine) -> None:
    assert engine.info
    methods = {method.name: method for method in engine.info.methods}

    caption = (await engine.caption_frame(FrameRequest(IMAGE))).caption
    assert caption.maps
    assert next(iter(methods)) == caption.maps.method
    assert {"gradcam", "saliency", SLOW} < set(methods)
    for method in methods.values():
        assert method.title and method.paper and method.cost and method.unit
        assert set(method.kinds) <= {"word", "contrast", "caption", "tag"}
        assert method.kinds


async def test_an_explained_word_has_the_map_that_came_with_the_caption(
    engine: Engine,
) -> None:
    images = photographs(260)
    captions = [await engine.caption(image) for image in images]
    image = next(each for each, one in zip(images, captions, strict=True) if one.words)
    caption, state = await engine.caption_frame(FrameRequest(image))
    assert caption.maps and caption.timing_ms.maps > 0
    target = Target("word", len(caption.words) - 1)
    found = await engine.explain(image, state.tokens, caption.maps.method, target)

    expected = caption.maps.words[-1].values
    assert np.allclose(found.map.values, expected, atol=0.02 * expected.max())
    assert found.took_ms > 0


async def test_maps_come_only_if_they_are_requested(engine: Engine) -> None:
    caption = (await engine.caption_frame(FrameRequest(IMAGE, maps=False))).caption

    assert caption.maps is None
    assert caption.timing_ms.maps == 0


async def test_a_map_is_checked(engine: Engine) -> None:
    check = await engine.check(IMAGE, await tokens_of(engine), "gradcam", 1)

    assert 0 < check.share < 0.5
    assert 0 < check.prob <= 1
    assert 0 <= check.blanked <= 1
    assert 40 < check.regions < check.places <= 2 * 81


@pytest.mark.parametrize(
    ("method", "target", "message"),
    [
        ("guesswork", CAPTION, "no method 'guesswork'; the methods are readcam"),
        ("gradcam", Target("word", 70), "none at index 70"),
        ("gradcam", Target("contrast", 0, "xyzzy"), "xyzzy"),
        ("gradcam", Target("word"), "none at index None"),
    ],
)
async def test_what_cannot_be_explained_is_refused_with_a_reason(
    engine: Engine, method: str, target: Target, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await engine.explain(IMAGE, await tokens_of(engine), method, target)

    assert await engine.caption(IMAGE)


async def test_captions_and_quick_explanations_do_not_wait_for_a_slow_one(
    engine: Engine,
) -> None:
    progress: list[Progress] = []
    tokens = await tokens_of(engine)
    explaining = asyncio.create_task(
        engine.explain(new_image(), tokens, SLOW, CAPTION, progress=progress.append)
    )
    for _ in range(3):
        await engine.caption(IMAGE)
    await begin(engine, tokens, "gradcam")
    assert not explaining.done()
    async with asyncio.timeout(60):
        while len(progress) < 2:
            await asyncio.sleep(0.01)
    explaining.cancel()
    await until_idle(engine)

    done = [each.done for each in progress]
    assert done == sorted(done)
    assert done[-1] > done[0]


async def test_rough_maps_precede_the_map_and_the_next_word_costs_next_to_nothing(
    engine: Engine,
) -> None:
    image, tokens = new_image(), await tokens_of(engine)
    progress: list[Progress] = []

    async def explain(index: int) -> ExplanationResult:
        progress.clear()
        return await engine.explain(
            image, tokens, "occlusion", Target("word", index), progress.append
        )

    cancelled = asyncio.create_task(explain(1))
    async with asyncio.timeout(60):
        while not any(isinstance(each, RoughMap) for each in progress):
            await asyncio.sleep(0.005)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    seen = len(progress)
    await until_idle(engine)
    assert len(progress) == seen
    # It goes on from there.
    first = await explain(1)
    rough = [each for each in progress if isinstance(each, RoughMap)]
    assert 1 <= len(rough) <= 3
    assert rough[-1].doing == "Rough map from 75 of 100 windows"
    assert rough[-1].map.values.shape == first.map.values.shape == (9, 9)
    assert rough[-1].map.values.max() > 0
    second = await explain(2)
    assert not any(isinstance(each, RoughMap) for each in progress)
    assert second.took_ms < 0.3 * first.took_ms
    progress.clear()
    await engine.check(new_image(), tokens, "occlusion", 1, progress.append)
    assert not any(isinstance(each, RoughMap) for each in progress)
    assert [each.doing for each in progress][:: len(progress) - 1] == [
        "Computing the map",
        "Blanking regions",
    ]
    done = [each.done for each in progress]
    assert done == sorted(done)


async def test_an_explanation_proceeds_under_a_constant_load_of_captions(engine: Engine) -> None:
    progress: list[Progress] = []
    tokens = await tokens_of(engine)
    explaining = asyncio.create_task(
        engine.explain(new_image(), tokens, SLOW, CAPTION, progress=progress.append)
    )
    captioning = [asyncio.create_task(_caption_until_done(engine, explaining)) for _ in range(4)]
    async with asyncio.timeout(60):
        while len(progress) < 3:
            await asyncio.sleep(0.01)
    explaining.cancel()
    await asyncio.gather(*captioning)

    assert progress[-1].done > progress[0].done
    await until_idle(engine)


async def _caption_until_done(engine: Engine, task: asyncio.Task[ExplanationResult]) -> None:
    while not task.done():
        await engine.caption(IMAGE)


async def test_the_number_of_jobs_is_limited_and_live_ones_leave_room(engine: Engine) -> None:
    async with under_way(engine, 8) as tasks:
        tokens = await tokens_of(engine)
        with pytest.raises(EngineBusy):
            await engine.explain(IMAGE, tokens, "gradcam", CAPTION, live=True)
        await engine.explain(IMAGE, tokens, "gradcam", CAPTION)
        tasks += [begin(engine, tokens, image=new_image()) for _ in range(24)]
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy):
            await engine.explain(IMAGE, tokens, "gradcam", CAPTION)
        with pytest.raises(EngineBusy):
            await engine.check(IMAGE, tokens, "gradcam", 0)
        assert await engine.caption(IMAGE)

    assert (await engine.explain(IMAGE, tokens, "gradcam", CAPTION, live=True)).map


@pytest_asyncio.fixture(scope="module")
async def own_engine() -> AsyncIterator[Engine]:
    """An engine with the shipped captioner that the tests below kill."""
    engine = Engine(
        SHIPPED_FOLDER, EngineTiming(answer_s=IDLE_S, first_pause_s=0.05), explains=False
    )
    engine.start()
    await engine.wait_loaded()
    yield engine
    await engine.stop()


async def test_all_jobs_fail_when_the_worker_is_killed_and_the_next_one_starts_without_them(
    own_engine: Engine,
) -> None:
    engine = own_engine
    await engine.wait_ready()
    before, state = await engine.caption_frame(FrameRequest(IMAGE))
    tokens = state.tokens
    analysis = engine.analyse("adversarial", IMAGE, tokens, {})
    tasks: list[asyncio.Task[Any]] = [begin(engine, tokens) for _ in range(3)]
    tasks.append(asyncio.create_task(analysis))
    await engine.caption(IMAGE)
    assert engine.pid
    os.kill(engine.pid, signal.SIGKILL)

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {EngineUnavailable}
    with pytest.raises(EngineUnavailable):
        await begin(engine, tokens, "gradcam")
    await engine.wait_ready()
    assert engine.jobs == 0
    assert (await begin(engine, tokens, "gradcam")).map
    # Whatever a stream needs of the worker that is gone, it has.
    after, state = await engine.caption_frame(FrameRequest(IMAGE, state, refresh=True))
    assert not after.kept
    assert (after.text, after.words) == (before.text, before.words)
    assert state.tokens == tokens


async def test_a_worker_that_hangs_in_an_explanation_is_killed_and_an_idle_one_is_not(
    own_engine: Engine,
) -> None:
    engine = own_engine
    await engine.wait_ready()
    starts, tokens = engine.starts, await tokens_of(engine)
    await begin(engine, tokens, "attention")
    await asyncio.sleep(1.1 * IDLE_S)
    assert (await begin(engine, tokens, "attention")).map
    assert engine.starts == starts
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)

    with pytest.raises(EngineUnavailable, match="hung"):
        await begin(engine, tokens, "attention")
