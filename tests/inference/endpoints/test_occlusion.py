"""Occlusion by captioning again, with an endpoint whose answers depend on what it sees."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning import FrameRequest
from inference.endpoints.captioner import EndpointCaptioner
from inference.endpoints.occlusion import METHOD, contains, hide
from inference.engine import EngineUnavailable
from inference.explanations import Target
from inference.progress import Progress
from tests.support.servers.fake_endpoint import FakeEndpoint, error, fake_endpoint

Explained = tuple[EndpointCaptioner, FakeEndpoint, tuple[int, ...]]
"""A captioner, its endpoint, and the tokens of the caption of `scene`."""

GREY, RED, BLUE = 128, (250, 20, 20), (20, 20, 250)


def scene() -> NDArray[np.uint8]:
    """Grey, with a red rectangle over one of 4 x 4 regions, and a blue one over two."""
    image = np.full((64, 96, 3), GREY, np.uint8)
    image[16:32, 0:24], image[32:48, 48:96] = RED, BLUE
    return image


def describe(image: NDArray[np.uint8]) -> str:
    """Name the rectangles that are visible."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    dogs = " dogs" if ((red - green) > 150).sum() > 300 else ""
    ball = " ball" if ((blue - green) > 150).sum() > 300 else ""
    return f"The{dogs} and{ball}."


@asynccontextmanager
async def explaining(
    **changes: Any,
) -> AsyncIterator[tuple[EndpointCaptioner, FakeEndpoint, tuple[int, ...]]]:
    async with fake_endpoint() as fake:
        fake.caption = describe
        captioner = EndpointCaptioner(fake.endpoint(**changes))
        captioner.start()
        try:
            _, state = await captioner.caption_frame(FrameRequest(scene()))
            assert state.caption.text == "The dogs and ball"
            fake.requests.clear()
            yield captioner, fake, state.tokens
        finally:
            await captioner.stop()


async def test_a_map_shows_where_hiding_makes_the_word_disappear() -> None:
    async with explaining(regions=4) as (captioner, fake, tokens):
        seen: list[Progress] = []
        dog = await captioner.explain(scene(), tokens, METHOD, Target("word", 1), seen.append)
        ball = await captioner.explain(scene(), tokens, METHOD, Target("word", 3))
        both = await captioner.explain(scene(), tokens, METHOD, Target("caption"))
        function = await captioner.explain(scene(), tokens, METHOD, Target("word", 0))

    expected = np.zeros((4, 4))
    expected[1, 0] = 1
    np.testing.assert_array_equal(dog.map.values, expected)
    # Half of the ball is enough to see it.
    assert not ball.map.values.any()
    np.testing.assert_array_equal(both.map.values, expected / 2)
    assert not function.map.values.any()
    assert dog.took_ms > 0
    done = [each.done for each in seen]
    assert len(done) == 17
    assert done == sorted(done)
    assert done[-1] == 1
    # All words of a frame share the answers.
    assert len(fake.requests) == 17


async def test_the_card_tells_the_number_of_requests() -> None:
    async with explaining(regions=3) as (captioner, fake, tokens):
        (card,) = captioner.info.methods
        await captioner.explain(scene(), tokens, card.name, Target("word", 1))

        assert card.cost.startswith("10 requests to the endpoint")
        assert len(fake.requests) == 10
        assert card.kinds == ("caption", "word")


async def test_captions_have_room_beside_an_explanation() -> None:
    async with explaining(regions=4, requests=3) as (captioner, fake, tokens):
        fake.most_in_flight = 0
        fake.answering.clear()
        explaining_ = asyncio.create_task(
            captioner.explain(scene(), tokens, METHOD, Target("word", 1))
        )
        await fake.until(lambda: fake.in_flight == 2)
        captioned = asyncio.create_task(captioner.caption_frame(FrameRequest(scene())))
        await fake.until(lambda: fake.in_flight == 3)
        fake.answering.set()
        await asyncio.gather(explaining_, captioned)

        assert fake.most_in_flight == 3


async def test_cancelling_breaks_its_requests_off_and_keeps_the_answers() -> None:
    async with explaining(regions=2, requests=2) as (captioner, fake, tokens):
        task = asyncio.create_task(captioner.explain(scene(), tokens, METHOD, Target("word", 1)))
        await fake.until(lambda: captioner.answered >= 3)
        fake.answering.clear()
        task.cancel()
        await asyncio.wait({task})
        fake.answering.set()
        await fake.until(lambda: not fake.in_flight)
        answered = captioner.answered - 1
        await captioner.explain(scene(), tokens, METHOD, Target("word", 1))

        # One caption, and five answers in all.
        assert captioner.answered == 6
        assert answered >= 2


async def test_a_failed_request_fails_the_explanation_only() -> None:
    async with explaining() as (captioner, fake, tokens):
        fake.responses = [error(500, "out of memory")]
        with pytest.raises(EngineUnavailable, match=r"^No explanation: .* 500: out of memory\.$"):
            await captioner.explain(scene(), tokens, METHOD, Target("word", 1))
        await captioner.caption_frame(FrameRequest(scene()))


async def test_a_word_that_the_model_does_not_repeat_is_not_explained() -> None:
    async with explaining() as (captioner, fake, tokens):
        fake.caption = lambda image: "A cat."
        with pytest.raises(ValueError, match="without 'dogs'"):
            await captioner.explain(scene(), tokens, METHOD, Target("word", 1))


@pytest.mark.parametrize(
    ("method", "target", "reason"),
    [
        ("gradcam", Target("word", 1), "no method 'gradcam'"),
        (METHOD, Target("word", 9), "4 words"),
        (METHOD, Target("word"), "4 words"),
        (METHOD, Target("contrast", 1, "cat"), "cannot explain a contrast"),
        (METHOD, Target("tag", text="dog"), "cannot explain a tag"),
    ],
)
async def test_what_cannot_be_explained_costs_no_request(
    method: str, target: Target, reason: str
) -> None:
    async with explaining() as (captioner, fake, tokens):
        with pytest.raises(ValueError, match=reason):
            await captioner.explain(scene(), tokens, method, target)

        assert fake.requests == []


def test_regions_cover_the_image_once() -> None:
    image = np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3)
    image[..., 0] = 255
    hidden = [hide(image, 3, region)[..., 0] != 255 for region in range(9)]

    # The mean of a channel that is 255 everywhere is 255, so compare another one.
    changed = [(hide(image, 3, region) != image).any(-1) for region in range(9)]
    assert not np.any(hidden)
    assert np.sum(changed, axis=0).max() == 1
    assert np.sum(changed) >= 33
    assert (hide(image, 3, -1) == image).all()


@pytest.mark.parametrize(
    ("caption", "word", "expected"),
    [
        ("Two dogs run", "dog", True),
        ("Two dogs run", "running", True),
        ("A hotdog", "dog", False),
        ("A dog", "a", True),
        ("Dogs", "a", False),
        ("一只狗", "一只狗", True),
        ("一只猫", "一只狗", False),
    ],
)
def test_words_are_compared_by_stem(caption: str, word: str, expected: bool) -> None:
    assert contains(caption, word) is expected
