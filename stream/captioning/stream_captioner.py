"""Captions of one stream, picture after picture: computed when there is something to compute.

Whether a picture still shows what another showed, told from thumbnails of both.

What a fixed camera adds by itself must not count: the noise of its sensor and of the codec, its
exposure and white balance as they hunt, a shake of a pixel. What enters the scene must, however
small. So brightness and contrast are fitted away first, a cell may differ by what a slight shift
would do to it, and of what is left both the mean and the largest cell are held to a limit.
"""

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import av
import numpy as np
from numpy.typing import NDArray

from inference.captioning import Anchor, Caption, Timing, View
from inference.engine import CaptionService, EngineUnavailable
from models.preprocessing import squeeze
from stream.captioning.stillness import (
    RecentPictures,
    Thumbnail,
    is_still,
    thumbnail,
)
from stream.video import Frame, converted

REFRESH_S = 10.0
"""How long a caption may stand without a new search, should what is new be too small to notice."""


@dataclass(frozen=True, slots=True)
class CaptionedFrame:
    """A caption and the picture that it speaks of."""

    frame: Frame
    caption: Caption
    tokens: tuple[int, ...]
    """The caption's, as `Anchor.tokens`: what explanations of it go by."""
    prepare_ms: float
    """Comparing it with the last, colour conversion and squeezing."""
    wait_ms: float
    """In line for the captioner, and on the way to it and back."""


@dataclass(frozen=True, slots=True, eq=False)
class _Last:
    """What the stream's caption was last computed from."""

    anchor: Anchor
    picture: Thumbnail
    at_s: float
    beam_width: int | None


class StreamCaptioner:
    """Captions the pictures of one stream; it holds one caption, whatever the stream's length."""

    def __init__(
        self,
        captions: CaptionService,
        executor: Executor,
        pictures: RecentPictures | None = None,
    ) -> None:
        """Have pictures captioned, and prepare them in the executor.

        Those that show something new are offered to `pictures`, if there is such a place.
        """
        self._captions, self._executor, self._pictures = captions, executor, pictures
        self._last: _Last | None = None

    async def caption(
        self, frame: Frame, at_s: float, beam_width: int | None, *, maps: bool = False
    ) -> CaptionedFrame:
        """Caption the stream's next picture.

        Args:
            frame: The picture.
            at_s: Its time, of any clock that the stream keeps to.
            beam_width: The captioner's own when None; another one than before drops all that was
                kept.
            maps: Whether the caption is to come with maps of its words. One that is kept has those
                that it had, wanted or not.

        Raises:
            EngineUnavailable: If it cannot be captioned now.
        """
        info = self._captions.info
        if info is None:
            raise EngineUnavailable("the captioner was never ready")
        begun = time.perf_counter()
        if self._last and self._last.beam_width != beam_width:
            self._last = None
        last = self._last
        afresh = last is not None and at_s - last.at_s >= REFRESH_S
        unexplained = maps and last is not None and last.anchor.caption.maps is None
        picture, image = await asyncio.get_running_loop().run_in_executor(
            self._executor,
            self._prepare,
            frame.image,
            info.image_size,
            None if last is None or afresh or unexplained else last.picture,
            at_s,
        )
        prepared = time.perf_counter()
        prepare_ms = (prepared - begun) * 1e3
        if image is None:
            assert last
            kept = replace(last.anchor.caption, kept=True, timing_ms=Timing(0.0, 0.0, 0.0))
            return CaptionedFrame(frame, kept, last.anchor.tokens, prepare_ms, wait_ms=0.0)
        view = View(image, last.anchor if last else None, afresh, maps)
        caption, anchor = await self._captions.follow(view, beam_width)
        if not caption.kept or last is None:
            self._last = _Last(anchor, picture, at_s, beam_width)
        elif unexplained:
            self._last = replace(last, anchor=anchor)
        asked_ms = (time.perf_counter() - prepared) * 1e3
        spent = caption.timing_ms
        computed_ms = spent.encoder + spent.decoder + spent.maps
        wait_ms = max(0.0, asked_ms - computed_ms)
        return CaptionedFrame(frame, caption, anchor.tokens, prepare_ms, wait_ms)

    def _prepare(
        self, image: av.VideoFrame, side: int, last: Thumbnail | None, at_s: float
    ) -> tuple[Thumbnail, NDArray[np.uint8] | None]:
        """Make the captioner's picture, unless it would show only what the last one did."""
        small = thumbnail(image)
        if last is not None and is_still(last, small):
            return small, None
        picture = squeeze(np.asarray(converted(image, "rgb24").to_ndarray(), np.uint8), side)
        if self._pictures is not None:
            self._pictures.offer(picture, small, at_s)
        return small, picture
