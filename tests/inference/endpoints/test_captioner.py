"""The caption service over an endpoint: captions, pauses, limits, and a clean end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning import FrameRequest, StreamState
from inference.endpoints.availability import Pauses
from inference.endpoints.captioner import EndpointCaptioner
from inference.engine import EngineState, EngineUnavailable
from tests.support.servers.fake_endpoint import KEY, FakeEndpoint, error, fake_endpoint, sent_image

SOON = Pauses(first_s=0.01, longest_s=0.02, idle_s=60)
LONG = Pauses(first_s=60, longest_s=60, idle_s=60)


def photograph(seed: int = 0, side: int = 64) -> NDArray[np.uint8]:
    """An image with large structures, unlike those of other seeds."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.kron(cells, np.ones((side // 8, side // 8, 1), np.uint8)).astype(np.uint8)


@asynccontextmanager
async def captioning(
    pauses: Pauses = SOON, max_failures: int | None = None, **changes: Any
) -> AsyncIterator[tuple[EndpointCaptioner, FakeEndpoint]]:
    """A captioner and its endpoint; checks that the captioner leaves nothing behind."""
    async with fake_endpoint() as fake:
        before = asyncio.all_tasks()
        captioner = EndpointCaptioner(fake.endpoint(**changes), pauses, max_failures)
        captioner.start()
        try:
            yield captioner, fake
        finally:
            await captioner.stop()
            mine = {each for each in asyncio.all_tasks() - before if "endpoint" in each.get_name()}
            assert mine == set()


async def caption(
    captioner: EndpointCaptioner, state: StreamState | None = None, seed: int = 0
) -> Any:
    return await captioner.caption_frame(FrameRequest(photograph(seed), state))


async def test_a_frame_is_sent_and_its_answer_is_the_caption() -> None:
    async with captioning() as (captioner, fake):
        assert (captioner.state, captioner.message) == (EngineState.READY, "")
        found, state = await caption(captioner)

        assert found.text == "A dog runs"
        assert found.confidence is None
        assert [word.text for word in found.words] == ["A", "dog", "runs"]
        assert (found.maps, found.tags, found.fallback, found.kept) == (None, (), None, False)
        assert found.timing_ms.endpoint > 0
        assert state.caption == found
        # JPEG changes the colours a little.
        sent = sent_image(fake.requests[0]).astype(int)
        assert np.abs(sent - photograph()).mean() < 12
        assert (captioner.answered, captioner.failed) == (1, 0)


async def test_large_images_are_scaled_down() -> None:
    async with captioning() as (captioner, fake):
        await captioner.caption_frame(FrameRequest(np.zeros((900, 1600, 3), np.uint8)))

        assert sent_image(fake.requests[0]).shape == (288, 512, 3)


async def test_what_is_no_image_is_refused() -> None:
    async with captioning() as (captioner, fake):
        with pytest.raises(ValueError, match="an image is"):
            await captioner.caption_frame(FrameRequest(np.zeros((8, 8), np.uint8)))

        assert fake.requests == []


async def test_a_stream_keeps_its_wording_in_the_same_scene_only() -> None:
    async with captioning() as (captioner, fake):
        first, state = await caption(captioner)
        fake.responses = ["The dog is running."]
        second, state = await caption(captioner, state)
        fake.responses = ["The cat is running."]
        third, state = await caption(captioner, state)
        fake.responses = ["A cat runs."]
        fourth, _ = await caption(captioner, state, seed=1)

        assert [each.text for each in (first, second, third, fourth)] == [
            "A dog runs",
            "A dog runs",
            "The cat is running",
            "A cat runs",
        ]
        assert not second.kept


async def test_info_offers_what_an_endpoint_can() -> None:
    async with captioning() as (captioner, _):
        info = captioner.info

        assert (info.name, info.captioner) == ("llava", "endpoint:gpu")
        assert (info.encoder, info.vocabulary_size, info.beam_width) == (None, None, None)
        frame = np.zeros((1080, 1920, 3), np.uint8)
        assert info.resizing.apply(frame).shape == (288, 512, 3)
        assert info.resizing.apply(frame[:90, :160]).shape == (90, 160, 3)
        assert (info.calibrated, info.verified, info.analyses, info.live_method) == (
            False,
            (),
            (),
            None,
        )
        assert (info.tags, info.hardened, info.concepts) == (False, False, False)
        assert [method.name for method in info.methods] == ["occlusion-answers"]
        with pytest.raises(ValueError, match="gradients"):
            await captioner.analyse("adversarial", photograph(), (), {})
        with pytest.raises(ValueError, match="no probability"):
            await captioner.check(photograph(), (), "occlusion-answers", 0)


async def test_a_failure_pauses_captions_and_an_answer_resumes_them() -> None:
    async with captioning() as (captioner, fake):
        states: list[tuple[EngineState, str]] = []
        captioner.subscribe(lambda: states.append((captioner.state, captioner.message)))
        fake.responses = [error(503), error(503)]
        for _ in range(2):
            await captioner.wait_ready()
            with pytest.raises(EngineUnavailable, match="endpoint answers 503"):
                await caption(captioner)
        await captioner.wait_ready()
        # Not before an answer: the endpoint is only tried.
        assert captioner.state is EngineState.PAUSED
        await caption(captioner)

        paused = (EngineState.PAUSED, "Captions paused: the endpoint answers 503.")
        assert states == [paused, (EngineState.READY, "")]
        assert (captioner.answered, captioner.failed) == (1, 2)


async def test_no_frame_is_sent_while_captions_are_paused() -> None:
    async with captioning(LONG) as (captioner, fake):
        fake.responses = [error(500)]
        for _ in range(3):
            with pytest.raises(EngineUnavailable, match="paused: the endpoint answers 500"):
                await caption(captioner)

        assert len(fake.requests) == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(captioner.wait_ready(), 0.05)


async def test_a_refused_image_of_a_program_pauses_no_stream() -> None:
    async with captioning(LONG) as (captioner, fake):
        program = FrameRequest(photograph(0), background=True)
        refusal = "I cannot describe this"
        # After a 400 the request is sent once more, without log-probabilities.
        for responses in ([error(400, refusal), error(400, refusal)], [error(503)]):
            fake.responses = [*responses]
            with pytest.raises(EngineUnavailable, match="endpoint answers"):
                await captioner.caption_frame(program)
            assert captioner.state is EngineState.READY
        await caption(captioner)

        fake.responses = [error(429, **{"Retry-After": "60"})]
        with pytest.raises(EngineUnavailable):
            await captioner.caption_frame(program)
        assert captioner.message.startswith("Captions paused")


async def test_a_program_takes_no_trial_from_the_streams() -> None:
    async with captioning() as (captioner, fake):
        fake.responses = [error(503)]
        with pytest.raises(EngineUnavailable):
            await caption(captioner)
        await captioner.wait_ready()
        with pytest.raises(EngineUnavailable, match="Captions paused"):
            await captioner.caption_frame(FrameRequest(photograph(0), background=True))

        assert captioner.state is EngineState.PAUSED
        await caption(captioner)
        assert captioner.message == ""


async def test_retry_after_lengthens_the_pause() -> None:
    async with captioning() as (captioner, fake):
        fake.responses = [error(429, "slow down", **{"Retry-After": "60"})]
        with pytest.raises(EngineUnavailable, match="slow down"):
            await caption(captioner)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(captioner.wait_ready(), 0.2)


async def test_after_a_pause_one_frame_is_tried_at_a_time() -> None:
    async with captioning() as (captioner, fake):
        fake.responses = [error(503)]
        with pytest.raises(EngineUnavailable):
            await caption(captioner)
        fake.answering.clear()
        await captioner.wait_ready()
        trial = asyncio.create_task(caption(captioner))
        await fake.until(lambda: fake.in_flight)
        with pytest.raises(EngineUnavailable, match="503"):
            await caption(captioner)
        fake.answering.set()
        await trial

        assert captioner.state is EngineState.READY
        assert len(fake.requests) == 2


async def test_a_cancelled_trial_leaves_the_next_frame_to_be_tried() -> None:
    async with captioning() as (captioner, fake):
        fake.responses = [error(503)]
        with pytest.raises(EngineUnavailable):
            await caption(captioner)
        fake.answering.clear()
        await captioner.wait_ready()
        trial = asyncio.create_task(caption(captioner))
        await fake.until(lambda: fake.in_flight)
        trial.cancel()
        await asyncio.wait({trial})
        fake.answering.set()
        await captioner.wait_ready()
        await caption(captioner)

        assert captioner.state is EngineState.READY


async def test_without_frames_a_pause_ends_by_itself() -> None:
    async with captioning(Pauses(0.01, 0.01, idle_s=0.01)) as (captioner, fake):
        fake.responses = [error(503)]
        with pytest.raises(EngineUnavailable):
            await caption(captioner)

        await fake.until(lambda: captioner.state is EngineState.READY)
        assert len(fake.requests) == 1


async def test_an_older_request_neither_ends_nor_extends_a_pause() -> None:
    async with captioning(LONG, requests=3) as (captioner, fake):
        fake.answering.clear()
        tasks = [asyncio.create_task(caption(captioner)) for _ in range(3)]
        await fake.until(lambda: fake.in_flight == 3)
        fake.responses = [error(500), "A dog.", error(503)]
        fake.answering.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        assert sum(isinstance(each, EngineUnavailable) for each in outcomes) == 2
        assert captioner.message == "Captions paused: the endpoint answers 500."


async def test_frames_beyond_the_maximum_number_of_requests_are_dropped_not_queued() -> None:
    async with captioning(requests=2) as (captioner, fake):
        fake.answering.clear()
        tasks = [asyncio.create_task(caption(captioner)) for _ in range(2)]
        await fake.until(lambda: fake.in_flight == 2)
        with pytest.raises(EngineUnavailable, match="busy with other frames"):
            await caption(captioner)
        waiting = asyncio.create_task(captioner.wait_ready())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        fake.answering.set()
        await asyncio.gather(*tasks, waiting)

        assert fake.most_in_flight == 2
        assert captioner.state is EngineState.READY


async def test_cancelling_breaks_the_request_off() -> None:
    async with captioning() as (captioner, fake):
        fake.answering.clear()
        task = asyncio.create_task(caption(captioner))
        await fake.until(lambda: fake.in_flight)
        task.cancel()
        await asyncio.wait({task})

        await fake.until(lambda: fake.broken_off)
        assert captioner.state is EngineState.READY


async def test_stopping_breaks_requests_off_and_their_callers_get_an_error() -> None:
    async with captioning() as (captioner, fake):
        fake.answering.clear()
        task = asyncio.create_task(caption(captioner))
        await fake.until(lambda: fake.in_flight)
        await captioner.stop()

        with pytest.raises(EngineUnavailable, match="being stopped"):
            await task
        await fake.until(lambda: fake.broken_off)
        with pytest.raises(EngineUnavailable):
            await caption(captioner)


async def test_with_a_maximum_of_failures_it_gives_up() -> None:
    async with captioning(max_failures=2) as (captioner, fake):
        await caption(captioner)
        fake.responses = [error(500), error(500)]
        for _ in range(2):
            await captioner.wait_ready()
            with pytest.raises(EngineUnavailable):
                await caption(captioner)

        with pytest.raises(EngineUnavailable, match=r"^The endpoint answers 500\.$"):
            await captioner.wait_ready()


async def test_it_gives_up_at_once_if_the_first_request_fails() -> None:
    async with captioning(max_failures=3) as (captioner, fake):
        fake.responses = [error(401, "no")]
        with pytest.raises(EngineUnavailable):
            await caption(captioner)

        with pytest.raises(
            EngineUnavailable, match=r"^The endpoint answers 401: no; check key_file\.$"
        ):
            await captioner.wait_ready()


async def test_wait_loaded_fails_if_the_endpoint_cannot_be_reached() -> None:
    async with captioning() as (captioner, fake):
        await captioner.wait_loaded()
        assert fake.requests == []
    async with captioning(base_url="http://127.0.0.1:9/v1") as (captioner, _):
        with pytest.raises(EngineUnavailable, match=r"^The endpoint refuses connections"):
            await captioner.wait_loaded()


async def test_new_settings_apply_from_the_next_request_on() -> None:
    async with captioning(LONG) as (captioner, fake):
        fake.responses = [error(401, "wrong key")]
        with pytest.raises(EngineUnavailable):
            await caption(captioner)
        await captioner.configure(fake.endpoint(key="sk-new-0123456789", model="qwen"))
        await captioner.wait_ready()
        await caption(captioner)

        assert fake.headers[-1]["Authorization"] == "Bearer sk-new-0123456789"
        assert fake.requests[-1]["model"] == captioner.info.name == "qwen"


async def test_a_request_by_old_settings_does_not_pause_the_new_ones() -> None:
    async with captioning(LONG) as (captioner, fake):
        fake.answering.clear()
        old = asyncio.create_task(caption(captioner))
        await fake.until(lambda: fake.in_flight)
        await captioner.configure(fake.endpoint(model="qwen"))
        with pytest.raises(EngineUnavailable):
            await old

        assert captioner.state is EngineState.READY


async def test_the_log_has_the_host_but_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with captioning() as (captioner, fake):
        fake.responses = [error(401, f"{KEY} is wrong"), error(503), error(503)]
        for _ in range(3):
            await captioner.wait_ready()
            with pytest.raises(EngineUnavailable):
                await caption(captioner)
        await captioner.wait_ready()
        await caption(captioner)
        host = fake.url.removeprefix("http://").removesuffix("/v1")

    lines = [each.getMessage() for each in caplog.records if each.name.startswith("inference")]
    assert lines == [
        f"captions paused: endpoint gpu at {host}: the endpoint answers 401: "
        "*** is wrong; check key_file",
        "endpoint gpu answers again",
    ]
    assert KEY not in caplog.text
