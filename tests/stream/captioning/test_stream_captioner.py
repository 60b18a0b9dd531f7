"""Tests of one stream's captions, with realistic noise and the real captioner."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise, repeat

import av
import cv2
import numpy as np
import pytest
import pytest_asyncio

from inference.captioning.caption import Caption
from inference.captioning.stream_state import StreamState
from inference.engine.engine import Engine
from models.language import content_words
from models.preprocessing import resize_to_square
from stream.captioning.stream_captioner import REFRESH_S, StreamCaptioner, captioner_image
from stream.video.frame import Frame
from tests.support.simulated_camera import PHOTOGRAPHS, Image, SimulatedCamera, photograph

WARM_UP = 30
"""Frames until the codec's rate control has settled."""
MINUTE = 60
"""Frames, at one per second."""


@pytest_asyncio.fixture
async def captioner(engine: Engine) -> AsyncIterator[StreamCaptioner]:
    with ThreadPoolExecutor(1) as executor:
        yield StreamCaptioner(engine, executor)


def film(camera: SimulatedCamera, scenes: Iterable[Image]) -> Iterator[av.VideoFrame]:
    """Film scenes after the codec has settled on the first."""
    first, *others = scenes
    return islice(camera.record([*repeat(first, WARM_UP), *others]), WARM_UP - 1, None)


async def caption_all(
    captioner: StreamCaptioner, frames: Iterable[av.VideoFrame], every_s: float = 1.0
) -> list[Caption]:
    """Caption frames with this many seconds between them."""
    return [
        (await captioner.caption(Frame(frame, 0.0), number * every_s, None)).caption
        for number, frame in enumerate(frames)
    ]


async def caption_of(engine: Engine, scene: Image) -> str:
    assert engine.info
    return (await engine.caption(engine.info.resizing.apply(scene))).text


def changes(captions: list[Caption]) -> int:
    texts = [caption.text for caption in captions]
    return sum(one != other for one, other in pairwise(texts))


async def test_a_frame_is_captioned_as_the_same_image_of_a_file(
    engine: Engine, captioner: StreamCaptioner
) -> None:
    assert engine.info
    pixels = photograph("coffee.png")
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")

    live = (await captioner.caption(Frame(frame), 0.0, None)).caption

    np.testing.assert_array_equal(
        captioner_image(frame, engine.info), resize_to_square(pixels, 260)
    )
    of_file = await engine.caption(pixels)
    assert (live.text, live.confidence, live.words) == (
        of_file.text,
        of_file.confidence,
        of_file.words,
    )


@pytest.mark.parametrize("file", PHOTOGRAPHS)
async def test_a_still_scene_keeps_its_caption_for_a_minute(
    captioner: StreamCaptioner, file: str
) -> None:
    frames = film(SimulatedCamera(), repeat(photograph(file), MINUTE))
    captions = await caption_all(captioner, frames)

    assert changes(captions) == 0
    computed = [second for second, caption in enumerate(captions) if not caption.kept]
    assert computed == list(range(0, MINUTE, 10))


async def test_a_hand_held_camera_changes_captions_rarely(
    captioner: StreamCaptioner,
) -> None:
    camera = SimulatedCamera(noise=6, shake=3)
    captions = await caption_all(captioner, film(camera, repeat(photograph("coffee.png"), MINUTE)))

    assert changes(captions) <= 1
    kept = [caption for caption in captions if caption.kept]
    assert any(caption.timing_ms.encoder for caption in kept)
    computed = [second for second, caption in enumerate(captions) if not caption.kept]
    assert all(later - earlier <= REFRESH_S for earlier, later in pairwise(computed))


async def test_the_first_caption_after_a_cut_is_new(
    engine: Engine, captioner: StreamCaptioner
) -> None:
    scenes = [photograph(file) for file in PHOTOGRAPHS]
    captions = await caption_all(captioner, film(SimulatedCamera(), np.repeat(scenes, 4, axis=0)))

    for cut in range(0, len(captions), 4):
        first = captions[cut]
        assert not first.kept
        assert first.text == captions[cut + 3].text
    assert len({caption.text for caption in captions}) >= len(scenes) - 1


async def test_a_slow_fade_ends_in_a_caption_of_the_new_scene(
    engine: Engine, captioner: StreamCaptioner
) -> None:
    first, last = (photograph(file).astype(np.float32) for file in ("astronaut.png", "rocket.jpg"))
    shares = np.concatenate([[0], np.linspace(0, 1, 25), np.ones(3)])
    scenes = ((first + (last - first) * share).astype(np.uint8) for share in shares)
    captions = await caption_all(captioner, film(SimulatedCamera(), scenes))

    last_computed = max(place for place, caption in enumerate(captions) if not caption.kept)
    texts = [caption.text for caption in captions]
    since = texts.index(texts[-1])
    assert texts[-1] != texts[0]
    assert shares[since] > 0.5
    assert last_computed > 20


async def test_an_object_that_enters_is_captioned_at_once(
    engine: Engine, captioner: StreamCaptioner
) -> None:
    empty, cat = photograph("coffee.png"), photograph("chelsea.png")
    held = empty.copy()
    held[150:450, 150:550] = cv2.resize(cat, (400, 300), interpolation=cv2.INTER_AREA)
    frames = list(film(SimulatedCamera(), [*repeat(empty, 4), *repeat(held, 3)]))
    captions = await caption_all(captioner, frames)

    assert [caption.kept for caption in captions[1:4]] == [True] * 3
    assert not captions[4].kept
    found = await caption_of(engine, held)
    assert content_words(found) != content_words(captions[0].text)
    assert content_words(captions[5].text) != content_words(captions[0].text)


async def test_a_small_object_reaches_the_captioner_too(captioner: StreamCaptioner) -> None:
    empty = photograph("rocket.jpg")
    held = empty.copy()
    held[300:348, 100:164] = 255
    captions = await caption_all(
        captioner, film(SimulatedCamera(), [*repeat(empty, 3), *repeat(held, 2)])
    )

    assert captions[2].kept
    assert captions[3].timing_ms.encoder > 0


async def test_a_kept_caption_costs_the_captioner_nothing_and_has_its_own_frame(
    captioner: StreamCaptioner,
) -> None:
    one, other = (
        Frame(frame, float(number))
        for number, frame in enumerate(film(SimulatedCamera(), repeat(photograph("rocket.jpg"), 2)))
    )
    first = await captioner.caption(one, 0.0, None)
    second = await captioner.caption(other, 1.0, None)

    assert second.frame is other
    assert second.caption.kept
    assert second.caption.text == first.caption.text
    assert second.caption.words == first.caption.words
    timing = second.caption.timing_ms
    assert (timing.encoder, timing.decoder, second.wait_ms) == (0, 0, 0)
    assert second.prepare_ms > 0


async def test_a_kept_caption_keeps_its_maps_and_tokens(
    captioner: StreamCaptioner,
) -> None:
    one, other = (
        Frame(frame, 0.0) for frame in film(SimulatedCamera(), repeat(photograph("rocket.jpg"), 2))
    )
    first = await captioner.caption(one, 0.0, None, maps=True)
    second = await captioner.caption(other, 1.0, None, maps=True)

    assert first.caption.maps and first.caption.timing_ms.maps > 0
    assert len(first.caption.maps.words) == len(first.caption.words)
    assert second.caption.kept
    assert second.frame is other
    assert second.caption.maps
    assert second.caption.maps.to_json() == first.caption.maps.to_json()
    assert second.caption.timing_ms.maps == 0
    assert second.tokens == first.tokens
    assert len(first.tokens) > len(first.caption.words)


async def test_maps_requested_later_are_computed_once_in_a_still_scene(
    captioner: StreamCaptioner,
) -> None:
    frame = Frame(next(film(SimulatedCamera(), repeat(photograph("rocket.jpg"), 1))), 0.0)
    captioned = [
        await captioner.caption(frame, number / 10, None, maps=maps)
        for number, maps in enumerate((False, False, True, True, False))
    ]

    assert [each.caption.maps is None for each in captioned] == [True, True, False, False, False]
    assert [each.caption.timing_ms.maps > 0 for each in captioned] == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert [each.caption.kept for each in captioned] == [False, True, True, True, True]


async def test_no_caption_is_kept_longer_than_the_limit(captioner: StreamCaptioner) -> None:
    frame = next(film(SimulatedCamera(), repeat(photograph("rocket.jpg"), 1)))
    captions = await caption_all(captioner, repeat(frame, 9), every_s=REFRESH_S / 4)

    assert [caption.kept for caption in captions] == [False, True, True, True] * 2 + [False]


async def test_another_beam_width_takes_effect_at_once(captioner: StreamCaptioner) -> None:
    frame = Frame(next(film(SimulatedCamera(), repeat(photograph("coffee.png"), 1))), 0.0)
    for number, width in enumerate((1, 1, 4, 4, None)):
        captioned = await captioner.caption(frame, number / 10, width)
        assert captioned.caption.kept == (number in (1, 3))


async def test_streams_do_not_affect_each_other(engine: Engine) -> None:
    frames = [
        list(film(SimulatedCamera(seed=number), repeat(photograph(file), 3)))
        for number, file in enumerate(PHOTOGRAPHS[:3])
    ]
    with ThreadPoolExecutor(1) as executor:
        streams = [StreamCaptioner(engine, executor) for _ in frames]
        together = await asyncio.gather(*map(caption_all, streams, frames))
        single = [await caption_all(StreamCaptioner(engine, executor), each) for each in frames]

    texts = [[caption.text for caption in captions] for captions in together]
    assert texts == [[caption.text for caption in captions] for captions in single]
    assert len({captions[0] for captions in texts}) == 3


async def test_a_stream_holds_one_caption_and_none_after_its_end(
    engine: Engine,
) -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(each, StreamState) for each in gc.get_objects())

    before = held()
    scenes = [photograph(file) for file in PHOTOGRAPHS] * 2
    with ThreadPoolExecutor(1) as executor:
        captioner = StreamCaptioner(engine, executor)
        await caption_all(captioner, film(SimulatedCamera(), scenes))
        assert held() == before + 1
        del captioner
        assert held() == before


async def test_a_caption_survives_a_restart_of_the_engine(killable_engine: Engine) -> None:
    starts = killable_engine.starts
    first, last = film(SimulatedCamera(), repeat(photograph("coffee.png"), 2))
    with ThreadPoolExecutor(1) as executor:
        captioner = StreamCaptioner(killable_engine, executor)
        before = await captioner.caption(Frame(first, 0.0), 0.0, None)
        assert killable_engine.pid
        os.kill(killable_engine.pid, signal.SIGKILL)
        while killable_engine.starts == starts:
            await asyncio.sleep(0.02)
        await killable_engine.wait_ready()
        after = await captioner.caption(Frame(last, 1.0), REFRESH_S, None)

    assert not after.caption.kept
    assert after.caption.text == before.caption.text
