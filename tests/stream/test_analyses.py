"""Tests of the server's analyses: running them, and keeping their results."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

from inference.engine.service import AnalysisResult, EngineBusy, EngineUnavailable
from stream import analyses as analyses_module
from stream.analyses import Analyses, Analysis, AnalysisNotFound, AnalysisState, RequestError
from stream.captioning.kept_frames import KeptFrame
from stream.captioning.stream_captioner import CaptionedFrame
from stream.settings import StreamSettings
from stream.video.frame import Frame, blank_frame
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import SCHEMA

ANALYSIS = Draft202012Validator({"$ref": "#/$defs/analysis", "$defs": SCHEMA["$defs"]})
CAPTION = confident_caption("A dog")


@contextlib.asynccontextmanager
async def serving(
    captions: ScriptedCaptions, **settings: Any
) -> AsyncIterator[tuple[Analyses, Callable[[], Analysis]]]:
    """Create the analyses of a server, and a function that starts one."""
    analyses = Analyses(captions, StreamSettings(**settings))
    with ThreadPoolExecutor(1) as executor:
        captioned = CaptionedFrame(Frame(blank_frame(64, 48), 0.0), CAPTION, (7, 2), 0.0, 0.0)
        kept = KeptFrame(3, captioned, executor)
        yield analyses, lambda: analyses.start("adversarial", {"norm": "l2"}, kept, ())
        await analyses.close()


@pytest.fixture
def captions() -> ScriptedCaptions:
    """A caption service whose analyses wait until the test lets them finish."""
    captions = ScriptedCaptions(CAPTION)
    captions.finish_analyses.clear()
    return captions


async def until_half_done(analysis: Analysis) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while not (state := analysis.to_json())["done"]:
            await asyncio.sleep(0.01)
    return state


async def until_ended(analysis: Analysis) -> dict[str, Any]:
    async with asyncio.timeout(10):
        await analysis.ended.wait()
    state = analysis.to_json()
    ANALYSIS.validate(state)
    return state


async def test_a_running_analysis_has_progress_and_a_finished_one_has_files(
    captions: ScriptedCaptions,
) -> None:
    async with serving(captions) as (analyses, start):
        analysis = start()
        assert analyses.find(analysis.token) is analysis
        running = await until_half_done(analysis)
        ANALYSIS.validate(running)
        assert (running["state"], running["done"], running["doing"]) == (
            "running",
            0.5,
            "Looking closely",
        )
        # As long as it has taken so far; it does not rise while the analysis is slower than that.
        assert 0 <= running["left_s"] < 10
        await asyncio.sleep(0.3)
        assert analysis.to_json()["left_s"] == running["left_s"]
        assert running["files"] == {}

        captions.finish_analyses.set()
        done = await until_ended(analysis)
        assert (done["state"], done["done"], done["left_s"]) == ("done", 1.0, None)
        assert done["files"] == {
            name: f"/analyses/{analysis.token}/{name}" for name in captions.report.files
        }
        assert done["summary"] == list(captions.report.summary)
        assert analysis.files == captions.report.files
        assert captions.analyses == [("adversarial", {"norm": "l2"}, 0)]


async def test_the_whole_frame_is_analysed_in_its_own_aspect_ratio(
    captions: ScriptedCaptions,
) -> None:
    analysed: list[tuple[int, ...]] = []
    analyse = captions.analyse

    async def record(kind: Any, image: NDArray[np.uint8], *others: Any) -> AnalysisResult:
        analysed.append(image.shape)
        return await analyse(kind, image, *others)

    captions.analyse = record  # type: ignore[assignment,method-assign]
    captions.finish_analyses.set()
    async with serving(captions) as (_, start):
        await until_ended(start())
    # The captioner takes squares.
    assert analysed == [(48, 64, 3)]


async def test_the_number_of_running_analyses_is_limited(captions: ScriptedCaptions) -> None:
    async with serving(captions, analyses=2) as (analyses, start):
        one, _ = start(), start()
        with pytest.raises(RequestError, match="2 analyses are already running") as error:
            start()
        assert error.value.code == "busy"
        await until_half_done(one)
        analyses.cancel(one)
        assert one.state is AnalysisState.CANCELLED
        assert (await until_ended(one))["message"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        start()


async def test_cancelling_ends_an_analysis_and_cancelling_again_deletes_it(
    captions: ScriptedCaptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = asyncio.Event()
    analyse = captions.analyse

    async def analyse_and_record(*arguments: Any) -> AnalysisResult:
        try:
            return await analyse(*arguments)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    monkeypatch.setattr(captions, "analyse", analyse_and_record)
    async with serving(captions) as (analyses, start):
        analysis = start()
        await until_half_done(analysis)
        analyses.cancel(analysis)
        async with asyncio.timeout(1):
            await cancelled.wait()
        assert (await until_ended(analysis))["state"] == "cancelled"
        captions.finish_analyses.set()
        await asyncio.sleep(0.05)
        assert analysis.state is AnalysisState.CANCELLED
        analyses.cancel(analysis)
        with pytest.raises(AnalysisNotFound):
            analyses.find(analysis.token)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EngineUnavailable("the process ended"), "captioner-paused", "the process ended"),
        (EngineBusy("too many"), "busy", "too many"),
        (ValueError("there is no word xyzzy"), "cannot-analyse", "no word xyzzy"),
        (TypeError("a secret of the server"), "cannot-analyse", "something went wrong"),
    ],
)
async def test_a_failed_analysis_has_a_code_and_a_message(
    captions: ScriptedCaptions,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
    message: str,
) -> None:
    async def fail(*_: object) -> AnalysisResult:
        raise error

    monkeypatch.setattr(captions, "analyse", fail)
    async with serving(captions) as (_, start):
        analysis = start()
        failed = await until_ended(analysis)
        assert (failed["state"], analysis.error_code, failed["files"]) == ("failed", code, {})
        assert message in failed["message"]
        assert "secret" not in failed["message"]


async def test_an_analysis_times_out(captions: ScriptedCaptions) -> None:
    async with serving(captions, analysis_s=0.1) as (_, start):
        failed = await until_ended(start())
        assert failed["state"] == "failed"
        assert "longer than 0.1 s" in failed["message"]


async def test_a_result_is_kept_for_a_while_and_then_deleted(captions: ScriptedCaptions) -> None:
    captions.finish_analyses.set()
    async with serving(captions, analysis_kept_s=0.3) as (analyses, start):
        analysis = start()
        await until_ended(analysis)
        await asyncio.sleep(0.1)
        assert analyses.find(analysis.token).files
        async with asyncio.timeout(10):
            while True:
                try:
                    analyses.find(analysis.token)
                except AnalysisNotFound:
                    break
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("limit", ["_MAX_KEPT", "_MAX_KEPT_BYTES"])
async def test_of_too_many_or_too_large_results_the_newest_are_kept(
    captions: ScriptedCaptions, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    captions.finish_analyses.set()
    size = sum(map(len, captions.report.files.values()))
    monkeypatch.setattr(
        analyses_module, limit, {"_MAX_KEPT": 2, "_MAX_KEPT_BYTES": 2 * size + 1}[limit]
    )
    async with serving(captions) as (analyses, start):
        started = []
        for _ in range(4):
            started.append(start())
            await until_ended(started[-1])
            await asyncio.sleep(0.01)
        assert analyses.find(started[-1].token) and analyses.find(started[-2].token)
        for oldest in started[:2]:
            with pytest.raises(AnalysisNotFound):
                analyses.find(oldest.token)


async def test_closing_cancels_and_deletes_everything(captions: ScriptedCaptions) -> None:
    before = asyncio.all_tasks()
    async with serving(captions) as (analyses, start):
        running = start()
        await until_half_done(running)
    assert running.state is AnalysisState.CANCELLED
    assert asyncio.all_tasks() == before
    with pytest.raises(AnalysisNotFound):
        analyses.find(running.token)


async def test_tokens_have_128_bits(captions: ScriptedCaptions) -> None:
    async with serving(captions) as (_, start):
        tokens = {start().token, start().token}
    # Base64 has six bits per character.
    assert [len(token) for token in tokens] == [22, 22]
