"""Explanations by the engine's own process, beside captions."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from inference.captioning.steadiness import View
from inference.engine.engine import Engine
from inference.engine.process import EngineTiming
from inference.engine.service import Busy, EngineUnavailable, Explained
from inference.explanations.target import Target
from inference.progress import Step
from tests.inference.conftest import photographs
from web.settings.server import DEFAULT_CAPTIONER

PICTURE = photographs(260)[1]
LONG = "rise"
"""A method that takes many slices."""
SENTENCE = Target("caption")


async def tokens_of(engine: Engine) -> tuple[int, ...]:
    return (await engine.follow(View(PICTURE, maps=False))).anchor.tokens


def begin(engine: Engine, tokens: tuple[int, ...], method: str = LONG) -> asyncio.Task[Explained]:
    return asyncio.create_task(engine.explain(PICTURE, tokens, method, SENTENCE))


@contextlib.asynccontextmanager
async def under_way(engine: Engine, count: int) -> AsyncIterator[list[asyncio.Task[Explained]]]:
    """Long explanations that are given up in the end."""
    tokens = await tokens_of(engine)
    tasks = [begin(engine, tokens) for _ in range(count)]
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


async def test_says_what_it_can_explain_with(engine: Engine) -> None:
    assert engine.info
    methods = {method.name: method for method in engine.info.methods}

    caption = (await engine.follow(View(PICTURE))).caption
    assert caption.maps
    assert next(iter(methods)) == caption.maps.method
    assert {"gradcam", "saliency", LONG} < set(methods)
    for method in methods.values():
        assert method.title and method.paper and method.cost and method.unit
        assert set(method.kinds) <= {"word", "contrast", "caption", "tag"}
        assert method.kinds


async def test_a_word_that_is_asked_for_has_the_map_that_came_with_the_caption(
    engine: Engine,
) -> None:
    captions = [await engine.caption(picture) for picture in photographs(260)]
    picture = next(p for p, said in zip(photographs(260), captions, strict=True) if said.words)
    caption, anchor = await engine.follow(View(picture))
    assert caption.maps and caption.timing_ms.maps > 0
    asked = Target("word", len(caption.words) - 1)
    found = await engine.explain(picture, anchor.tokens, caption.maps.method, asked)

    expected = caption.maps.words[-1].values
    assert np.allclose(found.map.values, expected, atol=0.02 * expected.max())
    assert found.took_ms > 0


async def test_maps_come_only_if_they_are_wanted(engine: Engine) -> None:
    caption = (await engine.follow(View(PICTURE, maps=False))).caption

    assert caption.maps is None
    assert caption.timing_ms.maps == 0


async def test_a_map_is_put_to_the_test(engine: Engine) -> None:
    told: list[Step] = []
    check = await engine.check(PICTURE, await tokens_of(engine), "gradcam", 1, told.append)

    assert 0 < check.share < 0.5
    assert 0 < check.prob <= 1
    assert 0 <= check.blanked <= 1
    assert list(check.random) == sorted(check.random)


@pytest.mark.parametrize(
    ("method", "target", "told"),
    [
        ("guesswork", SENTENCE, "no method 'guesswork': there are readcam"),
        ("gradcam", Target("word", 70), "none at 70"),
        ("gradcam", Target("contrast", 0, "xyzzy"), "xyzzy"),
        ("gradcam", Target("word"), "none at None"),
    ],
)
async def test_what_cannot_be_explained_is_refused_with_the_reason(
    engine: Engine, method: str, target: Target, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        await engine.explain(PICTURE, await tokens_of(engine), method, target)

    assert await engine.caption(PICTURE)


async def test_captions_and_short_explanations_do_not_wait_for_the_end_of_a_long_one(
    engine: Engine,
) -> None:
    told: list[Step] = []
    tokens = await tokens_of(engine)
    explaining = asyncio.create_task(
        engine.explain(PICTURE, tokens, LONG, SENTENCE, progress=told.append)
    )
    for _ in range(3):
        await engine.caption(PICTURE)
    await begin(engine, tokens, "gradcam")
    assert not explaining.done()
    async with asyncio.timeout(60):
        while len(told) < 2:
            await asyncio.sleep(0.01)
    explaining.cancel()
    await until_idle(engine)

    far = [step.done for step in told]
    assert far == sorted(far)
    assert far[-1] > far[0]


async def test_captions_alone_bring_an_explanation_forward(engine: Engine) -> None:
    told: list[Step] = []
    tokens = await tokens_of(engine)
    explaining = asyncio.create_task(
        engine.explain(PICTURE, tokens, LONG, SENTENCE, progress=told.append)
    )
    captioning = [asyncio.create_task(_caption_until_done(engine, explaining)) for _ in range(4)]
    async with asyncio.timeout(60):
        while len(told) < 3:
            await asyncio.sleep(0.01)
    explaining.cancel()
    await asyncio.gather(*captioning)

    assert told[-1].done > told[0].done
    await until_idle(engine)


async def _caption_until_done(engine: Engine, task: asyncio.Task[Explained]) -> None:
    while not task.done():
        await engine.caption(PICTURE)


async def test_no_more_than_so_many_and_live_ones_leave_room(engine: Engine) -> None:
    async with under_way(engine, 8) as tasks:
        tokens = await tokens_of(engine)
        with pytest.raises(Busy):
            await engine.explain(PICTURE, tokens, "gradcam", SENTENCE, live=True)
        await engine.explain(PICTURE, tokens, "gradcam", SENTENCE)
        tasks += [begin(engine, tokens) for _ in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await engine.explain(PICTURE, tokens, "gradcam", SENTENCE)
        with pytest.raises(Busy):
            await engine.check(PICTURE, tokens, "gradcam", 0)
        assert await engine.caption(PICTURE)

    assert (await engine.explain(PICTURE, tokens, "gradcam", SENTENCE, live=True)).map


async def test_all_are_told_when_the_process_dies_and_it_comes_back_without_them(
    mortal_engine: Engine,
) -> None:
    engine = mortal_engine
    tokens = await tokens_of(engine)
    analysis = engine.analyse("adversarial", PICTURE, tokens, {})
    tasks: list[asyncio.Task[Any]] = [begin(engine, tokens) for _ in range(3)]
    tasks.append(asyncio.create_task(analysis))
    await engine.caption(PICTURE)
    assert engine.pid
    os.kill(engine.pid, signal.SIGKILL)

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {EngineUnavailable}
    with pytest.raises(EngineUnavailable):
        await begin(engine, tokens, "gradcam")
    await engine.wait_ready()
    assert engine.jobs == 0
    assert (await begin(engine, tokens, "gradcam")).map


async def test_a_process_that_hangs_in_an_explanation_is_ended_and_one_that_rests_is_not() -> None:
    timing = EngineTiming(answer_s=5.0, first_pause_s=60)
    engine = Engine(DEFAULT_CAPTIONER, timing, explains=False)
    engine.start()
    await engine.wait_loaded()
    tokens = await tokens_of(engine)
    await begin(engine, tokens, "attention")
    await asyncio.sleep(5.5)
    assert (await begin(engine, tokens, "attention")).map
    assert engine.starts == 1
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)

    with pytest.raises(EngineUnavailable, match="hung"):
        await begin(engine, tokens, "attention")
    await engine.stop()
