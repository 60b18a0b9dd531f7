"""The maps that come with captions by themselves, with costs that the test sets."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio

from inference.captioning.caption import Caption, Timing
from inference.engine.service import EngineUnavailable, Explained
from inference.explanations.map import CaptionMaps, Map
from inference.explanations.target import Target
from stream.captioning.kept_frames import KeptFrames
from stream.captioning.live_maps import Every, LiveExplanation, LiveMaps
from stream.captioning.stream_captioner import CaptionedFrame
from stream.video.frame import Frame
from tests.support.captions import ScriptedCaptions, sure

HEAT = Map(np.eye(9, dtype=np.float32))
IMAGE = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
PATIENCE_S = 3.0


def explained(gradcam_ms: float = 5.0) -> Caption:
    """A caption that comes with maps."""
    said = replace(sure("A cup"), timing_ms=Timing(1.0, 1.0, gradcam_ms))
    return replace(said, maps=CaptionMaps("gradcam", (HEAT, HEAT), HEAT))


class Stream:
    """A stream of captions whose maps are followed."""

    def __init__(self, share: float, executor: ThreadPoolExecutor) -> None:
        self.captions = ScriptedCaptions(sure("A cup"))
        self.sent: list[LiveExplanation] = []
        self.frames = KeptFrames(executor)
        self.maps = LiveMaps(self.captions, share, lambda: 1.0, self.sent.append, self.spawn)
        self.tasks: list[asyncio.Task[None]] = []
        self._seq = 0

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Begin what the session would end with itself."""
        self.tasks.append(asyncio.create_task(work))
        return None

    def publish(
        self,
        caption: Caption,
        tokens: tuple[int, ...] = (4, 2),
        age_s: float = 0.0,
    ) -> None:
        """Publish the next caption."""
        frame = Frame(IMAGE, time.time() - age_s)
        captioned = CaptionedFrame(frame, caption, tokens, 0.0, 0.0)
        self.maps.follow(self.frames.keep(self._seq, captioned))
        self._seq += 1

    async def settle(self) -> None:
        """Wait until all is answered."""
        await asyncio.gather(*self.tasks)


@pytest_asyncio.fixture
async def stream() -> AsyncIterator[Stream]:
    with ThreadPoolExecutor(1) as executor:
        yield Stream(0.25, executor)


async def test_saliency_is_not_asked_for_when_only_words_are_wanted(stream: Stream) -> None:
    stream.maps.explanations = "gradcam"
    assert stream.maps.gradcam_is_due()
    stream.publish(explained())
    await stream.settle()

    assert stream.maps.every == Every(1, 0)
    assert stream.captions.explained == []


async def test_saliency_of_the_newest_caption_is_sent_after_it(stream: Stream) -> None:
    stream.publish(explained())
    stream.publish(explained())
    await stream.settle()
    stream.publish(explained())
    await stream.settle()

    # Of the second none: the first was under way.
    assert [live.seq for live in stream.sent] == [0, 2]
    live = stream.sent[0]
    assert (live.method, live.target) == ("saliency", Target("caption"))
    assert live.explained.map is stream.captions.heat


async def test_a_caption_that_stands_is_not_explained_again(stream: Stream) -> None:
    stream.maps.explanations = "all"
    for kept, tokens in ((False, (4, 2)), (True, (4, 2)), (True, (4, 2)), (True, (5, 2))):
        stream.publish(replace(explained(), kept=kept), tokens)
        await stream.settle()

    assert [live.seq for live in stream.sent] == [0, 3]


async def test_a_failure_is_silent_and_the_next_caption_is_explained(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> Explained:
        raise EngineUnavailable("it ended")

    stream.maps.explanations = "all"
    with monkeypatch.context() as patch:
        patch.setattr(stream.captions, "explain", fail)
        stream.publish(explained())
        await stream.settle()
    assert stream.sent == []
    stream.publish(explained())
    await stream.settle()

    assert [live.seq for live in stream.sent] == [1]


async def test_over_budget_saliency_and_then_gradcam_come_with_every_nth_caption(
    stream: Stream,
) -> None:
    stream.maps.explanations = "all"
    stream.captions.took_ms = 700.0
    due = []
    for _ in range(13):
        stream.publish(explained(50.0))
        await stream.settle()
    assert stream.maps.every == Every(1, 4)
    assert [live.seq for live in stream.sent] == [0, 4, 8, 12]

    stream.captions.took_ms = 2100.0
    for _ in range(60):
        due.append(stream.maps.gradcam_is_due())
        stream.publish(explained(50.0) if due[-1] else sure("A cup"))
        await stream.settle()
    assert stream.maps.every == Every(2, 10)
    assert due[-8:] in ([True, False] * 4, [False, True] * 4)


async def test_without_a_share_nothing_is_explained() -> None:
    with ThreadPoolExecutor(1) as executor:
        stream = Stream(0.0, executor)
        stream.maps.explanations, stream.maps.overlay = "all", "gradcam"
        stream.publish(sure("A cup"))
        await stream.settle()

        assert not stream.maps.gradcam_is_due()
        assert stream.captions.explained == []


async def test_what_is_drawn_is_what_was_chosen(stream: Stream) -> None:
    stream.maps.explanations = "all"
    stream.publish(explained())
    await stream.settle()

    drawn = {}
    for stream.maps.overlay in ("none", "gradcam", "saliency"):
        drawn[stream.maps.overlay] = stream.maps.heat(PATIENCE_S)
    assert drawn == {"none": None, "gradcam": HEAT, "saliency": stream.captions.heat}


@pytest.mark.parametrize(
    ("overlay", "every"), [("gradcam", Every(1, 0)), ("saliency", Every(0, 1))]
)
async def test_what_only_the_video_shows_is_computed_and_not_sent(
    stream: Stream, overlay: Any, every: Every
) -> None:
    stream.maps.explanations, stream.maps.overlay = "none", overlay
    stream.publish(explained())
    await stream.settle()

    assert stream.maps.every == every
    assert stream.maps.heat(PATIENCE_S) is not None
    assert stream.sent == []


async def test_a_map_outlives_captions_without_one_but_not_for_long(stream: Stream) -> None:
    stream.maps.overlay = "gradcam"
    stream.publish(explained(), age_s=2.0)
    stream.publish(sure("A dog"))
    assert stream.maps.heat(PATIENCE_S) is HEAT
    stream.publish(explained(), age_s=3.1)
    assert stream.maps.heat(PATIENCE_S) is None


async def test_saliency_holds_as_long_as_its_caption_stands(stream: Stream) -> None:
    stream.maps.overlay = "saliency"
    stream.publish(explained(), age_s=4.0)
    await stream.settle()
    assert stream.maps.heat(PATIENCE_S) is None
    stream.publish(replace(explained(), kept=True))
    assert stream.maps.heat(PATIENCE_S) is stream.captions.heat
