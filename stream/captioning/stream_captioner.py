"""Captions of one stream, frame after frame, computed only when the scene has changed."""

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import av
import numpy as np
from numpy.typing import NDArray

from inference.captioning import Caption, FrameRequest, StreamState, Timing
from inference.engine import CaptionService, EngineInfo, EngineUnavailable
from stream.captioning.stillness import RecentFrames, Thumbnail, is_still, thumbnail
from stream.video import Frame, convert_frame

REFRESH_S = 10.0
"""Maximum age of a caption before a new search, in case a change was too small to detect."""


@dataclass(frozen=True, slots=True)
class CaptionedFrame:
    """A frame and its caption."""

    frame: Frame
    caption: Caption
    tokens: tuple[int, ...]
    """Tokens of the whole caption, as in `StreamState.tokens`; explanations need them."""
    prepare_ms: float
    """Time to compare the frame with the last one, and to convert and resize it."""
    wait_ms: float
    """Time in the captioner's queue, and on the way to the captioner and back."""


@dataclass(frozen=True, slots=True, eq=False)
class _LastComputed:
    """What the stream's caption was last computed from."""

    state: StreamState
    thumbnail: Thumbnail
    at_s: float
    beam_width: int | None


class StreamCaptioner:
    """Captions the frames of one stream; it keeps one caption, however long the stream is."""

    def __init__(
        self,
        caption_service: CaptionService,
        executor: Executor,
        recent_frames: RecentFrames | None = None,
    ) -> None:
        """Prepare to caption a stream.

        Args:
            caption_service: Captions the frames.
            executor: Prepares the frames.
            recent_frames: Collects the frames that show something new, if given.
        """
        self._caption_service, self._executor = caption_service, executor
        self._recent_frames = recent_frames
        self._last: _LastComputed | None = None

    async def caption(
        self, frame: Frame, at_s: float, beam_width: int | None, *, maps: bool = False
    ) -> CaptionedFrame:
        """Caption the stream's next frame.

        Args:
            frame: The frame.
            at_s: Its time in seconds, of any clock that the stream always uses.
            beam_width: Beam width of the search, the captioner's own when None; a change discards
                the last caption.
            maps: Whether the caption must come with word maps. A kept caption has its maps in
                either case.

        Raises:
            EngineUnavailable: If the frame cannot be captioned now.
        """
        info = self._caption_service.info
        if info is None:
            raise EngineUnavailable("the captioner has not been loaded yet")
        started = time.perf_counter()
        if self._last and self._last.beam_width != beam_width:
            self._last = None
        last = self._last
        must_refresh = last is not None and at_s - last.at_s >= REFRESH_S
        lacks_maps = maps and last is not None and last.state.caption.maps is None
        small, image = await asyncio.get_running_loop().run_in_executor(
            self._executor,
            self._prepare,
            frame.image,
            info,
            None if last is None or must_refresh or lacks_maps else last.thumbnail,
            at_s,
        )
        prepared = time.perf_counter()
        prepare_ms = (prepared - started) * 1e3
        if image is None:
            assert last
            kept = replace(last.state.caption, kept=True, timing_ms=Timing(0.0, 0.0, 0.0))
            return CaptionedFrame(frame, kept, last.state.tokens, prepare_ms, wait_ms=0.0)
        request = FrameRequest(image, last.state if last else None, must_refresh, maps)
        caption, state = await self._caption_service.caption_frame(request, beam_width)
        if not caption.kept or last is None:
            self._last = _LastComputed(state, small, at_s, beam_width)
        elif lacks_maps:
            self._last = replace(last, state=state)
        elapsed_ms = (time.perf_counter() - prepared) * 1e3
        timing = caption.timing_ms
        took_ms = timing.encoder + timing.decoder + timing.maps + timing.endpoint
        wait_ms = max(0.0, elapsed_ms - took_ms)
        return CaptionedFrame(frame, caption, state.tokens, prepare_ms, wait_ms)

    def _prepare(
        self, frame: av.VideoFrame, info: EngineInfo, last: Thumbnail | None, at_s: float
    ) -> tuple[Thumbnail, NDArray[np.uint8] | None]:
        """Return a frame's thumbnail, and the captioner's image unless the frame is still."""
        small = thumbnail(frame)
        if last is not None and is_still(last, small):
            return small, None
        image = captioner_image(frame, info)
        # Only this analysis uses them.
        if self._recent_frames is not None and "ace" in info.analyses:
            self._recent_frames.offer(image, small, at_s)
        return small, image


def captioner_image(frame: av.VideoFrame, info: EngineInfo) -> NDArray[np.uint8]:
    """Convert a frame to the image that the captioner takes, see `EngineInfo.resizing`."""
    return info.resizing.apply(frame_pixels(frame))


def frame_pixels(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Convert a frame to RGB, uint8 [H, W, 3]."""
    return np.asarray(convert_frame(frame, "rgb24").to_ndarray(), np.uint8)
