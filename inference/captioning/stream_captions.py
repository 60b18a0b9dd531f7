"""Captions of stream frames, which change with the scene and not with noise."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Timing
from inference.captioning.decoding import blank_caption
from inference.captioning.model import CaptionModel
from inference.captioning.stream_state import (
    Features,
    FrameRequest,
    FrameResult,
    Steadiness,
    StreamState,
    feature_distance,
    frame_features,
    should_replace_caption,
)
from inference.explanations import CaptionMaps, Map
from models.calibration import is_blank
from models.captioner import BeamCaption
from models.language import PAD, content_words


@dataclass(slots=True, eq=False)
class _Frame:
    """A frame and what has been computed for it so far."""

    request: FrameRequest
    grid: NDArray[np.float32]
    """The encoding, see `inference.captioning.model`."""
    features: Features
    thresholds: Steadiness
    found: BeamCaption | None = None
    """The search's best caption; None if the scene is still."""
    rescored: BeamCaption | None = None
    """The stream's caption on this frame, if it differs from the one found in the same scene; or if
    it is kept and has no maps yet."""
    result: FrameResult | None = None

    @property
    def state(self) -> StreamState | None:
        """The stream's state; None if there is no scene that the frame could continue."""
        state = self.request.state
        return None if state is None or state.caption.fallback == "blank" else state

    @property
    def needs_search(self) -> bool:
        """Whether the caption may have to change."""
        state = self.state
        if state is None or self.request.refresh:
            return True
        return feature_distance(state.features, self.features) > self.thresholds.still

    @property
    def distance(self) -> float:
        """Distance from the frame for which the stream's caption was first found."""
        state = self.state
        return feature_distance(state.origin, self.features) if state else 1.0


def caption_frames(
    model: CaptionModel, requests: Sequence[FrameRequest], beam_width: int | None = None
) -> list[FrameResult]:
    """Caption frames of different streams together.

    Args:
        model: The captioner.
        requests: At least one.
        beam_width: As in `CaptionModel.captions`.

    Returns:
        The caption of each frame. Where the features hardly changed it is the stream's last
        caption, `kept`, and no search was made. Captions have maps if their request asks for them.
        A frame that shows nothing has an empty one, see `blank_caption`, and the next frame is
        captioned as a new scene.

    Raises:
        ValueError: If an image or the beam width is invalid.
    """
    for request in requests:
        model.check(request.image, beam_width)
    blank = [_blank_result(model, each) if is_blank(each.image) else None for each in requests]
    shown = [each for each, result in zip(requests, blank, strict=True) if result is None]
    others = iter(_caption_frames(model, shown, beam_width) if shown else ())
    return [result or next(others) for result in blank]


def _blank_result(model: CaptionModel, request: FrameRequest) -> FrameResult:
    """Return the result of a frame that shows nothing, whose features equal no other frame's."""
    before = request.state and request.state.caption.fallback
    maps = CaptionMaps(model.live_method, (), Map(np.zeros(model.grid_size, np.float32)))
    caption = blank_caption(calibrated=model.calibrated)
    caption = replace(caption, kept=before == "blank", maps=maps)
    none = np.zeros(1, np.float16)
    return FrameResult(caption, StreamState(caption, (model.wording.end,), none, none))


def _caption_frames(
    model: CaptionModel, requests: Sequence[FrameRequest], beam_width: int | None
) -> list[FrameResult]:
    begun = time.perf_counter()
    grids = model.encode([request.image for request in requests])
    encoded = time.perf_counter()
    frames = []
    for request, grid, cells in zip(requests, grids, model.cells(grids), strict=True):
        model.grid_cache.put(request.image, grid)
        frames.append(_Frame(request, grid, frame_features(cells), model.steadiness))
    _search(model, [frame for frame in frames if frame.needs_search], beam_width)
    _rescore(model, [frame for frame in frames if _has_rival(frame)])
    decoded = time.perf_counter()
    timing = Timing(encoder=(encoded - begun) * 1e3, decoder=(decoded - encoded) * 1e3)
    for frame in frames:
        frame.result = _choose(model, frame, timing)
    _add_maps(model, [frame for frame in frames if _lacks_maps(frame)])
    return [frame.result for frame in frames if frame.result]


def _search(model: CaptionModel, frames: Sequence[_Frame], beam_width: int | None) -> None:
    if frames:
        found = model.search(np.stack([frame.grid for frame in frames]), beam_width)
        for row, frame in enumerate(frames):
            frame.found = BeamCaption(*(part[row] for part in found))


def _rescore(model: CaptionModel, frames: Sequence[_Frame]) -> None:
    if frames:
        captions = [frame.state.tokens for frame in frames if frame.state]
        rescored = model.rescore(np.stack([frame.grid for frame in frames]), captions)
        for row, frame in enumerate(frames):
            frame.rescored = BeamCaption(*(part[row] for part in rescored))


def _has_rival(frame: _Frame) -> bool:
    """Whether the search found another caption than the stream's in the same scene."""
    state, found = frame.state, frame.found
    if state is None or found is None or frame.distance >= frame.thresholds.scene_cut:
        return False
    return _tokens(found) != state.tokens


def _choose(model: CaptionModel, frame: _Frame, timing: Timing) -> FrameResult:
    """Choose between the caption that was found and the stream's caption."""
    state, found, rescored = frame.state, frame.found, frame.rescored
    if state and found is None:
        return FrameResult(replace(state.caption, kept=True, timing_ms=timing), state)
    assert found is not None
    previous = state.caption if state and frame.distance < frame.thresholds.scene_cut else None
    chosen, origin = found, frame.features
    if state and rescored is not None:
        new, old = (model.text(each.tokens) for each in (found, rescored))
        power = model.card.beam.length_power
        gain = _worth(found, power) - _worth(rescored, power)
        if should_replace_caption(new, old, gain, frame.distance, frame.thresholds):
            previous = None
        else:
            chosen = rescored
            if content_words(new) != content_words(old):
                origin = state.origin
    caption = model.build_caption(chosen, frame.grid, timing, previous)
    if state and chosen is rescored:
        # The reasons for which it was chosen.
        kept = state.caption
        caption = replace(caption, runner_up=kept.runner_up, instead_of=kept.instead_of)
    return FrameResult(caption, StreamState(caption, _tokens(chosen), frame.features, origin))


def _lacks_maps(frame: _Frame) -> bool:
    return bool(frame.request.maps and frame.result and not frame.result.caption.maps)


def _add_maps(model: CaptionModel, frames: Sequence[_Frame]) -> None:
    if frames:
        begun = time.perf_counter()
        _rescore(model, [frame for frame in frames if frame.found is None])
        grids = np.stack([frame.grid for frame in frames])
        maps = model.live_maps(grids, [_chosen(frame) for frame in frames])
        took_ms = (time.perf_counter() - begun) * 1e3
        for frame, caption_maps in zip(frames, maps, strict=True):
            assert frame.result
            frame.result = _with_maps(frame.result, caption_maps, took_ms)


def _chosen(frame: _Frame) -> BeamCaption:
    """Return the arrays of the caption that was chosen for the frame."""
    assert frame.result
    for each in (frame.found, frame.rescored):
        if each is not None and _tokens(each) == frame.result.state.tokens:
            return each
    raise AssertionError("the chosen caption was neither found nor rescored")


def _with_maps(result: FrameResult, maps: CaptionMaps, took_ms: float) -> FrameResult:
    caption, state = result
    maps = replace(maps, words=maps.words[: len(caption.words)])
    timing = replace(caption.timing_ms, maps=took_ms)
    return FrameResult(
        replace(caption, maps=maps, timing_ms=timing),
        replace(state, caption=replace(state.caption, maps=maps)),
    )


def _worth(caption: BeamCaption, length_power: float) -> float:
    """Return what captions are compared by, in nats per word.

    It is the mean log-probability of the words and the end token, and what the consensus adds to
    the score, in the same unit: otherwise the consensus would choose a caption in one frame, and
    the log-probability another one in the next.
    """
    is_word = caption.tokens != PAD
    agreement = caption.agreement[caption.ranking()[0]]
    return float(
        caption.search_log_probs[is_word].mean() + agreement / is_word.sum() ** (1 - length_power)
    )


def _tokens(caption: BeamCaption) -> tuple[int, ...]:
    return tuple(caption.tokens[caption.tokens != PAD].tolist())
