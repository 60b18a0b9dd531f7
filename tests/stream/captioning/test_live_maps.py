"""Tests of the maps that come with captions, with costs that the test sets."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio

from inference.captioning.caption import Caption, Timing
from inference.engine.service import EngineUnavailable, ExplanationResult
from inference.explanations.map import CaptionMaps, Map
from inference.explanations.target import Target
from stream.captioning.kept_frames import KeptFrames
from stream.captioning.live_maps import LiveExplanation, LiveMaps, MapIntervals
from stream.captioning.stream_captioner import CaptionedFrame
from stream.clock import boottime
from stream.video.frame import Frame
from tests.support.captions import ScriptedCaptions, confident_caption

HEAT = Map(np.eye(9, dtype=np.float32))
IMAGE = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
MAX_AGE_S = 3.0


def explained(word_maps_ms: float = 5.0) -> Caption:
    """Return a caption with maps."""
    caption = replace(confident_caption("A cup"), timing_ms=Timing(1.0, 1.0, word_maps_ms))
    return replace(caption, maps=CaptionMaps("gradcam", (HEAT, HEAT), HEAT))


class Stream:
    """A stream of captions and its live maps."""

    def __init__(self, share: float, executor: ThreadPoolExecutor) -> None:
        self.captions = ScriptedCaptions(confident_caption("A cup"))
        self.sent: list[LiveExplanation] = []
        self.frames = KeptFrames(executor)
        self.maps = LiveMaps(self.captions, share, lambda: 1.0, self.sent.append, self.spawn)
        self.tasks: list[asyncio.Task[None]] = []
        self._seq = 0

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> object:
        """Start a task, as the stream would."""
        self.tasks.append(asyncio.create_task(coroutine))
        return None

    def publish(
        self,
        caption: Caption,
        tokens: tuple[int, ...] = (4, 2),
        age_s: float = 0.0,
    ) -> None:
        """Publish the next caption."""
        frame = Frame(IMAGE, captured_boottime=boottime() - age_s)
        captioned = CaptionedFrame(frame, caption, tokens, 0.0, 0.0)
        self.maps.on_caption(self.frames.keep(self._seq, captioned))
        self._seq += 1

    async def settle(self) -> None:
        """Wait for all tasks."""
        await asyncio.gather(*self.tasks)


@pytest_asyncio.fixture
async def stream() -> AsyncIterator[Stream]:
    with ThreadPoolExecutor(1) as executor:
        yield Stream(0.25, executor)


async def test_no_saliency_is_requested_for_word_maps_only(stream: Stream) -> None:
    stream.maps.explanations = "words"
    assert stream.maps.word_maps_due()
    stream.publish(explained())
    await stream.settle()

    assert stream.maps.intervals == MapIntervals(1, 0)
    assert stream.captions.explained_methods == []


async def test_saliency_of_the_newest_caption_is_sent_after_it(stream: Stream) -> None:
    stream.publish(explained())
    stream.publish(explained())
    await stream.settle()
    stream.publish(explained())
    await stream.settle()

    # Not for the second caption: the first request was still running.
    assert [live.seq for live in stream.sent] == [0, 2]
    live = stream.sent[0]
    assert (live.method, live.target) == ("saliency", Target("caption"))
    assert live.result.map is stream.captions.heat_map


async def test_a_kept_caption_is_not_explained_again(stream: Stream) -> None:
    stream.maps.explanations = "all"
    for kept, tokens in ((False, (4, 2)), (True, (4, 2)), (True, (4, 2)), (True, (5, 2))):
        stream.publish(replace(explained(), kept=kept), tokens)
        await stream.settle()

    assert [live.seq for live in stream.sent] == [0, 3]


async def test_a_failure_is_ignored_and_the_next_caption_is_explained(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> ExplanationResult:
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


async def test_over_budget_saliency_and_then_word_maps_get_rarer(
    stream: Stream,
) -> None:
    stream.maps.explanations = "all"
    stream.captions.took_ms = 700.0
    due = []
    for _ in range(13):
        stream.publish(explained(50.0))
        await stream.settle()
    assert stream.maps.intervals == MapIntervals(1, 4)
    assert [live.seq for live in stream.sent] == [0, 4, 8, 12]

    stream.captions.took_ms = 2100.0
    for _ in range(60):
        due.append(stream.maps.word_maps_due())
        stream.publish(explained(50.0) if due[-1] else confident_caption("A cup"))
        await stream.settle()
    assert stream.maps.intervals == MapIntervals(2, 10)
    assert due[-8:] in ([True, False] * 4, [False, True] * 4)


async def test_without_a_share_nothing_is_explained() -> None:
    with ThreadPoolExecutor(1) as executor:
        stream = Stream(0.0, executor)
        stream.maps.explanations, stream.maps.overlay = "all", "words"
        stream.publish(confident_caption("A cup"))
        await stream.settle()

        assert not stream.maps.word_maps_due()
        assert stream.captions.explained_methods == []


async def test_a_captioner_without_maps_is_never_asked_for_them(stream: Stream) -> None:
    stream.captions.info = replace(stream.captions.info, live_method=None, methods=())
    stream.maps.overlay = "words"

    assert stream.maps.intervals == MapIntervals(0, 0)
    assert not stream.maps.word_maps_due()


async def test_the_chosen_overlay_is_drawn(stream: Stream) -> None:
    stream.maps.explanations = "all"
    stream.publish(explained())
    await stream.settle()

    drawn = {}
    for stream.maps.overlay in ("none", "words", "saliency"):
        drawn[stream.maps.overlay] = stream.maps.overlay_map(MAX_AGE_S)
    assert drawn == {"none": None, "words": HEAT, "saliency": stream.captions.heat_map}


@pytest.mark.parametrize(
    ("overlay", "intervals"), [("words", MapIntervals(1, 0)), ("saliency", MapIntervals(0, 1))]
)
async def test_maps_for_the_overlay_only_are_computed_and_not_sent(
    stream: Stream, overlay: Any, intervals: MapIntervals
) -> None:
    stream.maps.explanations, stream.maps.overlay = "none", overlay
    stream.publish(explained())
    await stream.settle()

    assert stream.maps.intervals == intervals
    assert stream.maps.overlay_map(MAX_AGE_S) is not None
    assert stream.sent == []


async def test_a_map_outlives_captions_without_one_up_to_the_maximum_age(stream: Stream) -> None:
    stream.maps.overlay = "words"
    stream.publish(explained(), age_s=2.0)
    stream.publish(confident_caption("A dog"))
    assert stream.maps.overlay_map(MAX_AGE_S) is HEAT
    stream.publish(explained(), age_s=3.1)
    assert stream.maps.overlay_map(MAX_AGE_S) is None


async def test_saliency_is_drawn_as_long_as_its_caption_is_kept(stream: Stream) -> None:
    stream.maps.overlay = "saliency"
    stream.publish(explained(), age_s=4.0)
    await stream.settle()
    assert stream.maps.overlay_map(MAX_AGE_S) is None
    stream.publish(replace(explained(), kept=True))
    assert stream.maps.overlay_map(MAX_AGE_S) is stream.captions.heat_map
