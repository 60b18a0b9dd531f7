"""The client of a pool, over real sockets: results, lost replicas, old frames, cancellation."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray

from inference.captioning import FrameRequest, FrameResult
from inference.endpoints import EndpointCaptioner
from inference.engine import (
    AnalysisResult,
    Engine,
    EngineBusy,
    EngineState,
    EngineUnavailable,
    ExplanationResult,
    FrameTooOld,
)
from inference.explanations import RoughMap, Target
from inference.pool import CaptionServer
from inference.pool.codec import PATH
from inference.progress import Progress, ProgressCallback
from tests.inference.conftest import photographs
from tests.inference.pool.conftest import pool_of, serving
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.pool.held_captions import HeldCaptions, until
from tests.support.servers.fake_endpoint import fake_endpoint

IMAGES = list(photographs(260))
IMAGE = IMAGES[0]


async def test_captions_explanations_and_analyses_are_those_of_the_engine(
    engine: Engine, socket: Path
) -> None:
    async with serving(engine, socket, replica="one"), pool_of(socket) as pool:
        await pool.wait_ready()
        assert pool.info == engine.info
        found, state = await pool.caption_frame(FrameRequest(IMAGE), None)
        own, own_state = await engine.caption_frame(FrameRequest(IMAGE), None)

        assert (found.text, found.confidence, found.words) == (own.text, own.confidence, own.words)
        assert found.timing_ms.replica == "one"
        assert found.maps and own.maps
        assert [each.to_json() for each in found.maps.words] == [
            each.to_json() for each in own.maps.words
        ]
        assert state.tokens == own_state.tokens
        np.testing.assert_array_equal(state.features, own_state.features)
        assert pool.replicas.waits_s["one"].cumulative()[-1][1] == 1

        tokens, target = state.tokens, Target("word", 0)
        explained = await pool.explain(IMAGE, tokens, "gradcam", target)
        again = await engine.explain(IMAGE, tokens, "gradcam", target)
        np.testing.assert_array_equal(explained.map.values, again.map.values)


async def test_jobs_report_their_progress_and_return_their_result(socket: Path) -> None:
    class Jobs(ScriptedCaptions):
        async def explain(
            self,
            image: NDArray[np.uint8],
            tokens: tuple[int, ...],
            method: str,
            target: Target,
            progress: ProgressCallback | None = None,
            **options: Any,
        ) -> ExplanationResult:
            assert (tokens, method, target) == ((3, 4), "rise", Target("contrast", 1, "cat"))
            assert options["live"]
            np.testing.assert_array_equal(image, IMAGE)
            assert progress
            progress(RoughMap(0.5, "Masking", self.heat_map))
            progress(Progress(0.2, "Starting again"))
            return await super().explain(image, tokens, method, target)

    service = Jobs(confident_caption("A dog runs"))
    progress: list[Progress] = []
    async with serving(service, socket), pool_of(socket) as pool:
        await pool.wait_ready()
        target = Target("contrast", 1, "cat")
        explained = await pool.explain(IMAGE, (3, 4), "rise", target, progress.append, live=True)
        np.testing.assert_array_equal(explained.map.values, service.heat_map.values)
        # What falls is left out.
        (rough,) = progress
        assert isinstance(rough, RoughMap)
        assert (rough.done, rough.doing, rough.map.values.shape) == (0.5, "Masking", (9, 9))

        check = await pool.check(IMAGE, (3, 4), "gradcam", 0)
        assert check == await service.check(IMAGE, (3, 4), "gradcam", 0)

        params = {"scope": "stream"}
        report = await pool.analyse("ace", IMAGE, (3, 4), params, IMAGES, progress.append)
        assert (report.files, report.summary) == (service.report.files, service.report.summary)
        assert progress[-1] == Progress(0.5, "Looking closely")
        assert service.analyses == [("ace", params, len(IMAGES))]


async def test_cancelling_a_job_cancels_it_at_the_replica(socket: Path) -> None:
    class Analyses(ScriptedCaptions):
        cancelled = False

        async def analyse(self, *arguments: Any, **options: Any) -> AnalysisResult:
            try:
                return await super().analyse(*arguments, **options)
            except asyncio.CancelledError:
                self.cancelled = True
                raise

    service = Analyses(confident_caption("A dog runs"))
    service.finish_analyses.clear()
    async with serving(service, socket), pool_of(socket) as pool:
        await pool.wait_ready()
        progress: list[Progress] = []
        job = asyncio.create_task(pool.analyse("ace", IMAGE, (1,), {}, [], progress.append))
        await until(lambda: progress)
        job.cancel()
        await until(lambda: service.cancelled)


async def test_a_stream_keeps_its_caption_whichever_replica_answers(
    engine: Engine, tmp_path: Path
) -> None:
    noise = np.random.default_rng(3)
    async with (
        serving(engine, tmp_path / "one", replica="one"),
        serving(engine, tmp_path / "two", replica="two"),
        pool_of(tmp_path / "one") as first,
        pool_of(tmp_path / "two") as second,
    ):
        await first.wait_ready()
        await second.wait_ready()
        _, state = await first.caption_frame(FrameRequest(IMAGE), None)
        for pool in (second, first, second):
            frame = np.clip(IMAGE + noise.integers(-2, 3, IMAGE.shape), 0, 255).astype(np.uint8)
            caption, state = await pool.caption_frame(FrameRequest(frame, state), None)
            assert caption.kept


async def test_the_state_of_another_captioner_is_left_out(socket: Path) -> None:
    service = HeldCaptions()
    service.finish.set()
    async with serving(service, socket), pool_of(socket) as pool:
        await pool.wait_ready()
        _, state = await pool.caption_frame(FrameRequest(IMAGE), None)
        await pool.caption_frame(FrameRequest(IMAGE, state), None)
        service.info = replace(service.info, name="another")
        await pool.caption_frame(FrameRequest(IMAGE, state), None)

    assert [request.state is not None for request in service.requests] == [False, True, False]


async def test_errors_of_the_service_are_those_of_the_client(engine: Engine, socket: Path) -> None:
    async with serving(engine, socket), pool_of(socket) as pool:
        await pool.wait_ready()
        with pytest.raises(ValueError, match="beam width 9"):
            await pool.caption_frame(FrameRequest(IMAGE), 9)
        with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
            await pool.caption_frame(FrameRequest(IMAGE[..., 0]), None)
        with pytest.raises(ValueError, match="nonsense"):
            await pool.explain(IMAGE, (1, 2), "nonsense", Target("caption"))
    with pytest.raises(EngineUnavailable, match="stopped"):
        await pool.caption_frame(FrameRequest(IMAGE), None)


async def test_a_full_service_is_busy(socket: Path) -> None:
    class Full(ScriptedCaptions):
        async def explain(self, *arguments: Any, **options: Any) -> ExplanationResult:
            raise EngineBusy("too many explanations are running")

    async with serving(Full(confident_caption("A")), socket), pool_of(socket) as pool:
        await pool.wait_ready()
        with pytest.raises(EngineBusy, match="too many"):
            await pool.explain(IMAGE, (1,), "gradcam", Target("caption"))


async def test_cancelling_a_request_cancels_it_at_the_replica(socket: Path) -> None:
    service = HeldCaptions()
    async with serving(service, socket), pool_of(socket) as pool:
        await pool.wait_ready()
        task = asyncio.create_task(pool.caption_frame(FrameRequest(IMAGE), None))
        await until(lambda: service.begun)
        task.cancel()
        await until(lambda: service.cancelled)


async def test_a_slow_answer_is_awaited_and_a_silent_replica_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.pool.address.SILENCE_S", 0.5)
    monkeypatch.setattr("inference.pool.handler.ALIVE_INTERVAL_S", 0.1)
    slow = HeldCaptions()
    asyncio.get_running_loop().call_later(1.2, slow.finish.set)
    async with serving(slow, tmp_path / "slow"), pool_of(tmp_path / "slow") as pool:
        await pool.wait_ready()
        await pool.caption_frame(FrameRequest(IMAGE), None)

    monkeypatch.setattr("inference.pool.handler.ALIVE_INTERVAL_S", 60)
    silent = HeldCaptions()
    async with (
        serving(silent, tmp_path / "silent"),
        pool_of(tmp_path / "silent", max_wait_s=0.4) as pool,
    ):
        await pool.wait_ready()
        begun = time.monotonic()
        with pytest.raises(FrameTooOld):
            await pool.caption_frame(FrameRequest(IMAGE), None)
        assert time.monotonic() - begun < 2
        assert pool.replicas.failures["too old"] == 1


async def test_the_request_of_a_lost_replica_is_answered_by_another(tmp_path: Path) -> None:
    lost, other = HeldCaptions(), HeldCaptions()
    other.finish.set()
    async with (
        serving(lost, tmp_path / "lost") as server,
        serving(other, tmp_path / "other", replica="other"),
        pool_of(tmp_path / "lost", tmp_path / "other") as pool,
    ):
        await until(lambda: pool.info and pool.state is EngineState.READY)
        requests = [
            asyncio.create_task(pool.caption_frame(FrameRequest(IMAGE), None)) for _ in range(6)
        ]
        await until(lambda: lost.begun)
        await server.close()
        captions = [caption for caption, _ in await asyncio.gather(*requests)]

        assert {caption.timing_ms.replica for caption in captions} == {"other"}
        assert pool.replicas.failures["repeated"] == lost.begun
        assert pool.state is EngineState.READY
        assert lost.cancelled == lost.begun


async def test_a_frame_that_waited_for_too_long_is_dropped(engine: Engine, socket: Path) -> None:
    async with serving(engine, socket), pool_of(socket, max_wait_s=0.2) as pool:
        await pool.wait_ready()
        assert engine.pid
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            # The first is sent to the worker; the others wait in the queue.
            requests = [
                asyncio.create_task(pool.caption_frame(FrameRequest(image), None))
                for image in IMAGES
            ]
            in_background = asyncio.create_task(
                pool.caption_frame(FrameRequest(IMAGE, background=True), None)
            )
            await asyncio.sleep(0.5)
        finally:
            os.kill(engine.pid, signal.SIGCONT)
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert await in_background

        kinds = [type(answer) for answer in answers]
        assert kinds.count(FrameTooOld) == len(IMAGES) - 1
        assert kinds.count(FrameResult) == 1
        assert pool.replicas.failures["too old"] == len(IMAGES) - 1


async def test_the_state_follows_the_pool(socket: Path) -> None:
    states: list[tuple[EngineState, str]] = []
    service = HeldCaptions()
    service.finish.set()
    async with pool_of(socket) as pool:
        pool.subscribe(lambda: states.append((pool.state, pool.message)))
        await until(lambda: states)
        assert states == [
            (
                EngineState.STARTING,
                "No captioner of the pool answers: it cannot be reached: "
                "no such file or directory.",
            )
        ]
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await pool.wait_loaded()

        async with serving(service, socket):
            async with asyncio.timeout(2):
                await pool.wait_ready()
            assert await pool.caption_frame(FrameRequest(IMAGE), None)
        await until(lambda: pool.state is EngineState.PAUSED)
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await pool.caption_frame(FrameRequest(IMAGE), None)

        async with serving(service, socket):
            async with asyncio.timeout(2):
                await pool.wait_ready()
            assert (pool.state, pool.message) == (EngineState.READY, "")
    assert [state for state, _ in states] == [
        EngineState.STARTING,
        EngineState.READY,
        EngineState.PAUSED,
        EngineState.READY,
        EngineState.STARTING,
    ]


async def test_a_pool_is_given_up_after_its_failures(socket: Path) -> None:
    async with pool_of(socket, max_failures=2) as pool:
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await pool.wait_ready()


async def test_a_paused_replica_pauses_the_pool_with_its_own_message(socket: Path) -> None:
    service = ScriptedCaptions(confident_caption("A dog runs"))
    service.state, service.message = EngineState.PAUSED, "The captioner stopped; restarting it."
    async with serving(service, socket), pool_of(socket) as pool:
        await until(lambda: pool.state is EngineState.PAUSED)
        assert pool.message == "The captioner stopped; restarting it."


async def _other_program(request: web.Request) -> web.Response:
    return web.Response(text="Welcome to nginx!")


async def _nobody(request: web.Request) -> web.Response:
    raise web.HTTPNotFound


async def _broken(request: web.Request) -> web.Response:
    raise web.HTTPInternalServerError


async def _nonsense(request: web.Request) -> web.Response:
    return web.Response(body=b"\xff" * 64, content_type="application/vnd.sightline.captions")


async def _truncated(request: web.Request) -> web.Response:
    body = b"\0\0\0\x09\0\0\0\0{"
    return web.Response(body=body, content_type="application/vnd.sightline.captions")


@pytest.mark.parametrize(
    ("respond", "reason"),
    [
        (_other_program, "another program"),
        (_nobody, "no captioner is deployed"),
        (_broken, "the replica stopped"),
        (_nonsense, "different versions"),
        (_truncated, "the replica stopped"),
    ],
)
async def test_what_is_no_pool_is_named(
    socket: Path, respond: Callable[[web.Request], Awaitable[web.Response]], reason: str
) -> None:
    app = web.Application()
    app.router.add_route("*", PATH, respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    try:
        async with pool_of(socket) as pool:
            with pytest.raises(EngineUnavailable, match=reason):
                await pool.wait_loaded()
    finally:
        await runner.cleanup()


async def test_a_wrong_secret_is_named_and_the_right_one_admits() -> None:
    service = ScriptedCaptions(confident_caption("A dog runs"))
    server = CaptionServer(service, secret="plugh-0123456789abc")
    port = await server.listen("127.0.0.1")
    address = f"http://127.0.0.1:{port}"
    try:
        for wrong in (None, "xyzzy", ""):
            async with pool_of(address, secret=wrong) as pool:
                with pytest.raises(EngineUnavailable, match="secret of the pool"):
                    await pool.wait_loaded()
                assert "plugh" not in pool.message
        async with pool_of(address, secret="plugh-0123456789abc") as pool:
            await pool.wait_loaded()
            assert (await pool.caption_frame(FrameRequest(IMAGE), None)).caption
    finally:
        await server.close()


async def test_a_viewers_limit_of_requests_to_an_endpoint_holds_across_the_network(
    socket: Path,
) -> None:
    image: NDArray[np.uint8] = photographs(64)[0]
    taken: list[int] = []

    async def refuse(count: int) -> None:
        raise PermissionError

    async def take(count: int) -> None:
        taken.append(count)

    async with fake_endpoint() as fake:
        endpoint = EndpointCaptioner(fake.endpoint())
        endpoint.start()
        async with serving(endpoint, socket), pool_of(socket) as pool:
            await pool.wait_ready()
            caption, state = await pool.caption_frame(FrameRequest(image), None)
            assert caption.text == "A dog runs"
            sent = len(fake.requests)
            method = pool.info.methods[0].name if pool.info else ""
            arguments = (image, state.tokens, method, Target("caption"))
            with pytest.raises(PermissionError):
                await pool.explain(*arguments, before_requests=refuse)
            assert len(fake.requests) == sent

            explained = await pool.explain(*arguments, before_requests=take)

            assert taken == [len(fake.requests) - sent] and taken[0] > 1
            assert explained.map.values.shape == (2, 2)
        await endpoint.stop()
