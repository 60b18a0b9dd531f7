"""Analyses in the worker, beside captions and explanations."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import psutil
import pytest

from inference.concepts.bank import has_bank
from inference.engine.engine import Engine
from inference.engine.service import AnalysisKind, AnalysisResult
from inference.explanations.target import Target
from inference.progress import Progress
from models.catalogue import SHIPPED_FOLDER
from models.hardening import read_hardened_card
from stream.captioning.stillness import MAX_RECENT_FRAMES
from tests.inference.engine.test_explanation_jobs import CAPTION, IMAGE, tokens_of, until_idle


@contextlib.asynccontextmanager
async def under_way(engine: Engine) -> AsyncIterator[asyncio.Task[AnalysisResult]]:
    """Start an analysis, which is cancelled in the end."""
    progress: list[Progress] = []
    tokens = await tokens_of(engine)
    task = asyncio.create_task(
        engine.analyse("adversarial", IMAGE, tokens, {}, (), progress.append)
    )
    async with asyncio.timeout(60):
        while not progress:
            await asyncio.sleep(0.01)
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until_idle(engine)


async def test_reports_whether_it_has_a_concept_bank_and_a_hardened_decoder(engine: Engine) -> None:
    assert engine.info

    assert engine.info.concepts == has_bank(SHIPPED_FOLDER)
    assert engine.info.hardened == (read_hardened_card(SHIPPED_FOLDER) is not None)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("adversarial", {"norm": "l7"}, "norm: "),
        ("adversarial", {"say": "xyzzy"}, "xyzzy"),
        ("ace", {"steps": 3}, "steps: "),
    ],
)
async def test_what_cannot_be_analysed_is_refused_with_a_reason(
    engine: Engine, kind: AnalysisKind, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await engine.analyse(kind, IMAGE, await tokens_of(engine), params)

    assert await engine.caption(IMAGE)


async def test_captions_and_explanations_do_not_wait_for_an_analysis(
    engine: Engine,
) -> None:
    async with under_way(engine) as analysing:
        tokens = await tokens_of(engine)
        assert await engine.explain(IMAGE, tokens, "saliency", CAPTION)
        assert await engine.check(IMAGE, tokens, "readcam", 0)
        assert await engine.explain(IMAGE, tokens, "gradcam", Target("word", 0))
        assert not analysing.done()


async def test_a_cancelled_analysis_ends_at_once_and_frees_its_memory(
    engine: Engine,
) -> None:
    async def begin_and_cancel() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(
            engine.analyse("adversarial", IMAGE, tokens, {}, frames, lambda _: begun.set())
        )
        async with asyncio.timeout(60):
            await begun.wait()
        task.cancel()
        # Long before the analysis would end; on an idle machine it takes one slice.
        async with asyncio.timeout(4):
            while engine.jobs:
                await asyncio.sleep(0.01)

    tokens = await tokens_of(engine)
    frames = [np.ascontiguousarray(np.roll(IMAGE, by, 0)) for by in range(MAX_RECENT_FRAMES)]
    process = psutil.Process(engine.pid)
    for _ in range(3):
        await begin_and_cancel()
    before = process.memory_info().rss
    for _ in range(8):
        await begin_and_cancel()

    # The frames of one analysis are 12 MB.
    assert process.memory_info().rss - before < 40 * 2**20
