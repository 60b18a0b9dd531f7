"""The server's analyses, as they run and as they are kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from inference.engine.service import Analysed, Busy, EngineUnavailable
from stream import analyses as bounds
from stream.analyses import Analyses, Analysis, AnalysisGone, AnalysisState, Refused
from stream.captioning.kept_frames import KeptFrame
from stream.captioning.stream_captioner import CaptionedFrame
from stream.settings import StreamSettings
from stream.video.frame import Frame, blank
from tests.stream.webrtc.test_sessions import SCHEMA
from tests.support.captions import ScriptedCaptions, sure

TOLD = Draft202012Validator({"$ref": "#/$defs/analysis", "$defs": SCHEMA["$defs"]})
CAPTION = sure("A dog")


@contextlib.asynccontextmanager
async def serving(
    captions: ScriptedCaptions, **settings: Any
) -> AsyncIterator[tuple[Analyses, Callable[[], Analysis]]]:
    """The analyses of a server, and what begins one."""
    analyses = Analyses(captions, StreamSettings(**settings))
    with ThreadPoolExecutor(1) as executor:
        captioned = CaptionedFrame(Frame(blank(64, 48), 0.0), CAPTION, (7, 2), 0.0, 0.0)
        kept = KeptFrame(3, captioned, executor)
        yield analyses, lambda: analyses.begin("adversarial", {"norm": "l2"}, kept, ())
        await analyses.close()


@pytest.fixture
def captions() -> ScriptedCaptions:
    """A service whose analyses wait until a test lets them finish."""
    captions = ScriptedCaptions(CAPTION)
    captions.may_finish.clear()
    return captions


async def half_done(analysis: Analysis) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while not (told := analysis.to_json())["done"]:
            await asyncio.sleep(0.01)
    return told


async def ended(analysis: Analysis) -> dict[str, Any]:
    async with asyncio.timeout(10):
        await analysis.ended.wait()
    told = analysis.to_json()
    TOLD.validate(told)
    return told


async def test_one_tells_how_far_it_is_and_then_where_its_files_are(
    captions: ScriptedCaptions,
) -> None:
    async with serving(captions) as (analyses, begin):
        analysis = begin()
        assert analyses.find(analysis.token) is analysis
        running = await half_done(analysis)
        TOLD.validate(running)
        assert (running["state"], running["done"], running["doing"]) == (
            "running",
            0.5,
            "Looking closely",
        )
        # As much again as it has taken.
        assert 0 <= running["left_s"] < 10
        assert running["files"] == {}

        captions.may_finish.set()
        done = await ended(analysis)
        assert (done["state"], done["done"], done["left_s"]) == ("done", 1.0, None)
        assert done["files"] == {
            name: f"/analyses/{analysis.token}/{name}" for name in captions.report.files
        }
        assert done["summary"] == list(captions.report.summary)
        assert analysis.files == captions.report.files
        assert captions.analysed == [("adversarial", {"norm": "l2"}, 0)]


async def test_so_many_at_once_and_an_end_makes_room(captions: ScriptedCaptions) -> None:
    async with serving(captions, analyses=2) as (analyses, begin):
        one, _ = begin(), begin()
        with pytest.raises(Refused, match="2 analyses are under way") as refused:
            begin()
        assert refused.value.code == "busy"
        await half_done(one)
        analyses.cancel(one)
        assert one.state is AnalysisState.CANCELLED
        assert (await ended(one))["message"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        begin()


async def test_what_is_cancelled_is_given_up_at_once_and_the_second_time_forgotten(
    captions: ScriptedCaptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = asyncio.Event()
    analyse = captions.analyse

    async def watched(*arguments: Any) -> Analysed:
        try:
            return await analyse(*arguments)
        except asyncio.CancelledError:
            given_up.set()
            raise

    monkeypatch.setattr(captions, "analyse", watched)
    async with serving(captions) as (analyses, begin):
        analysis = begin()
        await half_done(analysis)
        analyses.cancel(analysis)
        async with asyncio.timeout(1):
            await given_up.wait()
        assert (await ended(analysis))["state"] == "cancelled"
        captions.may_finish.set()
        await asyncio.sleep(0.05)
        assert analysis.state is AnalysisState.CANCELLED
        analyses.cancel(analysis)
        with pytest.raises(AnalysisGone):
            analyses.find(analysis.token)


@pytest.mark.parametrize(
    ("problem", "code", "told"),
    [
        (EngineUnavailable("the process ended"), "captioner-paused", "the process ended"),
        (Busy("too many"), "busy", "too many"),
        (ValueError("there is no word xyzzy"), "cannot-analyse", "no word xyzzy"),
        (TypeError("a secret of the inside"), "cannot-analyse", "something went wrong"),
    ],
)
async def test_one_that_fails_says_why(
    captions: ScriptedCaptions,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
    code: str,
    told: str,
) -> None:
    async def fail(*_: object) -> Analysed:
        raise problem

    monkeypatch.setattr(captions, "analyse", fail)
    async with serving(captions) as (_, begin):
        analysis = begin()
        failed = await ended(analysis)
        assert (failed["state"], analysis.code, failed["files"]) == ("failed", code, {})
        assert told in failed["message"]
        assert "secret" not in failed["message"]


async def test_one_may_take_so_long_and_no_longer(captions: ScriptedCaptions) -> None:
    async with serving(captions, analysis_s=0.1) as (_, begin):
        failed = await ended(begin())
        assert failed["state"] == "failed"
        assert "longer than 0.1 s" in failed["message"]


async def test_what_was_found_is_kept_a_while_and_then_gone(captions: ScriptedCaptions) -> None:
    captions.may_finish.set()
    async with serving(captions, analysis_kept_s=0.3) as (analyses, begin):
        analysis = begin()
        await ended(analysis)
        await asyncio.sleep(0.1)
        assert analyses.find(analysis.token).files
        async with asyncio.timeout(10):
            while True:
                try:
                    analyses.find(analysis.token)
                except AnalysisGone:
                    break
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("bound", ["_MOST_KEPT", "_MOST_KEPT_BYTES"])
async def test_of_too_many_or_too_large_ones_the_newest_are_kept(
    captions: ScriptedCaptions, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    captions.may_finish.set()
    size = sum(map(len, captions.report.files.values()))
    monkeypatch.setattr(bounds, bound, {"_MOST_KEPT": 2, "_MOST_KEPT_BYTES": 2 * size + 1}[bound])
    async with serving(captions) as (analyses, begin):
        found = []
        for _ in range(4):
            found.append(begin())
            await ended(found[-1])
            await asyncio.sleep(0.01)
        assert analyses.find(found[-1].token) and analyses.find(found[-2].token)
        for oldest in found[:2]:
            with pytest.raises(AnalysisGone):
                analyses.find(oldest.token)


async def test_nothing_is_left_when_the_server_stops(captions: ScriptedCaptions) -> None:
    before = asyncio.all_tasks()
    async with serving(captions) as (analyses, begin):
        running = begin()
        await half_done(running)
    assert running.state is AnalysisState.CANCELLED
    assert asyncio.all_tasks() == before
    with pytest.raises(AnalysisGone):
        analyses.find(running.token)


async def test_tokens_cannot_be_guessed(captions: ScriptedCaptions) -> None:
    async with serving(captions) as (_, begin):
        tokens = {begin().token, begin().token}
    # 128 bits in six bits a character.
    assert [len(token) for token in tokens] == [22, 22]
