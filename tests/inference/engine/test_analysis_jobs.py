"""Long analyses by the engine's own process, beside captions and explanations."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import psutil
import pytest

from inference.concepts.bank import has_bank
from inference.engine.engine import Engine
from inference.engine.service import Analysed, AnalysisKind
from inference.explanations.target import Target
from inference.progress import Step
from models.hardening.hardened_decoder import read_hardened_card
from stream.captioning.stillness import MOST_PICTURES
from tests.inference.engine.test_engine_explanations import PICTURE, SENTENCE, tokens_of, until_idle
from web.settings.server import DEFAULT_CAPTIONER

QUICK = {"steps": 1, "draws": 1, "segments": 2}


@contextlib.asynccontextmanager
async def under_way(
    engine: Engine, told: list[Step] | None = None
) -> AsyncIterator[asyncio.Task[Analysed]]:
    """An analysis that has begun, and is given up in the end."""
    told = [] if told is None else told
    tokens = await tokens_of(engine)
    task = asyncio.create_task(engine.analyse("adversarial", PICTURE, tokens, {}, (), told.append))
    async with asyncio.timeout(60):
        while not told:
            await asyncio.sleep(0.01)
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until_idle(engine)


async def test_says_what_an_analysis_has_to_go_by(engine: Engine) -> None:
    assert engine.info

    assert engine.info.concepts == has_bank(DEFAULT_CAPTIONER)
    assert engine.info.hardened == (read_hardened_card(DEFAULT_CAPTIONER) is not None)


async def test_an_analysis_tells_what_it_does_and_returns_a_report(engine: Engine) -> None:
    told: list[Step] = []
    tokens = await tokens_of(engine)
    found = await engine.analyse("adversarial", PICTURE, tokens, QUICK, (), told.append)

    assert set(found.files) == {"report.html", "report.json"}
    assert found.files["report.html"].lower().startswith(b"<!doctype html>")
    report = json.loads(found.files["report.json"])
    assert report["adversarial"] and report["ace"] is None
    assert report["caption"]["text"] == (await engine.caption(PICTURE)).text
    assert 2 <= len(found.summary) <= 4
    assert found.took_ms > 0
    assert [step.done for step in told] == sorted(step.done for step in told)
    assert len({step.doing for step in told}) > 1


@pytest.mark.parametrize(
    ("kind", "params", "told"),
    [
        ("adversarial", {"norm": "l7"}, "norm: "),
        ("adversarial", {"say": "xyzzy"}, "xyzzy"),
        ("ace", {"steps": 3}, "steps: "),
    ],
)
async def test_what_cannot_be_analysed_is_refused_with_the_reason(
    engine: Engine, kind: AnalysisKind, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        await engine.analyse(kind, PICTURE, await tokens_of(engine), params)

    assert await engine.caption(PICTURE)


async def test_captions_and_explanations_do_not_wait_for_the_end_of_an_analysis(
    engine: Engine,
) -> None:
    async with under_way(engine) as analysing:
        tokens = await tokens_of(engine)
        assert await engine.explain(PICTURE, tokens, "saliency", SENTENCE)
        assert await engine.check(PICTURE, tokens, "readcam", 0)
        assert await engine.explain(PICTURE, tokens, "gradcam", Target("word", 0))
        assert not analysing.done()


async def test_one_that_is_cancelled_ends_at_once_and_frees_all_that_it_held(
    engine: Engine,
) -> None:
    async def begin_and_cancel() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(
            engine.analyse("adversarial", PICTURE, tokens, {}, frames, lambda _: begun.set())
        )
        async with asyncio.timeout(60):
            await begun.wait()
        task.cancel()
        # Long before an analysis ends by itself; at rest it takes a slice.
        async with asyncio.timeout(4):
            while engine.jobs:
                await asyncio.sleep(0.01)

    tokens = await tokens_of(engine)
    frames = [np.ascontiguousarray(np.roll(PICTURE, by, 0)) for by in range(MOST_PICTURES)]
    process = psutil.Process(engine.pid)
    for _ in range(3):
        await begin_and_cancel()
    before = process.memory_info().rss
    for _ in range(8):
        await begin_and_cancel()

    # The pictures of one alone are 12 MB.
    assert process.memory_info().rss - before < 40 * 2**20
