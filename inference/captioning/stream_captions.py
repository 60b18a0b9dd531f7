"""Captions of streams: each picture with the caption before it in mind."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Timing
from inference.captioning.model import CaptionModel
from inference.captioning.steadiness import (
    CUT,
    STILL,
    Anchor,
    Features,
    Followed,
    View,
    distance,
    features,
    takes_over,
)
from inference.explanations import CaptionMaps
from inference.explanations.live import live_maps
from models.captioner import BeamCaption
from models.language import PAD
from models.language.content_words import content_words


@dataclass(slots=True, eq=False)
class _Sight:
    """What is known of a picture so far."""

    view: View
    grid: NDArray[np.float32]
    features: Features
    found: BeamCaption | None = None
    """The search's best caption; None if nothing moved."""
    retold: BeamCaption | None = None
    """The stream's caption, read from this picture, if it may stay and is not what was found; or
    if it stays and has no maps yet."""
    followed: Followed | None = None
    """What is said of the picture."""

    @property
    def moved(self) -> bool:
        """Whether the caption may have to change."""
        anchor = self.view.anchor
        return not anchor or self.view.afresh or distance(anchor.features, self.features) > STILL

    @property
    def travelled(self) -> float:
        """How far the picture is from the one that the stream's caption was first said of."""
        anchor = self.view.anchor
        return distance(anchor.origin, self.features) if anchor else 1.0


def follow(
    model: CaptionModel, views: Sequence[View], beam_width: int | None = None
) -> list[Followed]:
    """Caption pictures of different streams together, none of them restlessly.

    Args:
        model: The captioner.
        views: One at least.
        beam_width: As `CaptionModel.captions` takes it.

    Returns:
        What is said of each. Where the features hardly moved that is the stream's last caption,
        `kept`, and nothing was searched for. Maps are in the captions of views that want them.

    Raises:
        ValueError: If `CaptionModel.check` refuses an image or the beam width.
    """
    for view in views:
        model.check(view.image, beam_width)
    begun = time.perf_counter()
    grids = model.encode([view.image for view in views])
    encoded = time.perf_counter()
    for view, grid in zip(views, grids, strict=True):
        model.recent.keep(view.image, grid)
    sights = [_Sight(view, grid, features(grid)) for view, grid in zip(views, grids, strict=True)]
    _search(model, [sight for sight in sights if sight.moved], beam_width)
    _retell(model, [sight for sight in sights if _has_rival(sight)])
    decoded = time.perf_counter()
    timing = Timing(encoder=(encoded - begun) * 1e3, decoder=(decoded - encoded) * 1e3)
    for sight in sights:
        sight.followed = _settle(model, sight, timing)
    _add_maps(model, [sight for sight in sights if _lacks_maps(sight)])
    return [sight.followed for sight in sights if sight.followed]


def _search(model: CaptionModel, sights: Sequence[_Sight], beam_width: int | None) -> None:
    if sights:
        found = model.search(np.stack([sight.grid for sight in sights]), beam_width)
        for row, sight in enumerate(sights):
            sight.found = BeamCaption(*(part[row] for part in found))


def _retell(model: CaptionModel, sights: Sequence[_Sight]) -> None:
    if sights:
        told = [sight.view.anchor.tokens for sight in sights if sight.view.anchor]
        retold = model.retell(np.stack([sight.grid for sight in sights]), told)
        for row, sight in enumerate(sights):
            sight.retold = BeamCaption(*(part[row] for part in retold))


def _has_rival(sight: _Sight) -> bool:
    anchor, found = sight.view.anchor, sight.found
    if anchor is None or found is None or sight.travelled >= CUT:
        return False
    return _tokens(found) != anchor.tokens


def _settle(model: CaptionModel, sight: _Sight, timing: Timing) -> Followed:
    """Say what was found, or what was said before."""
    anchor, found, retold = sight.view.anchor, sight.found, sight.retold
    if anchor and found is None:
        return Followed(replace(anchor.caption, kept=True, timing_ms=timing), anchor)
    assert found is not None
    before = anchor.caption if anchor and sight.travelled < CUT else None
    said, origin = found, sight.features
    if anchor and retold is not None:
        new, old = (model.text(each.tokens) for each in (found, retold))
        if takes_over(new, old, _likelihood(found) - _likelihood(retold), sight.travelled):
            before = None
        else:
            said = retold
            if content_words(new) != content_words(old):
                origin = anchor.origin
    caption = model.read(said, sight.grid, timing, before)
    return Followed(caption, Anchor(caption, _tokens(said), sight.features, origin))


def _lacks_maps(sight: _Sight) -> bool:
    return bool(sight.view.maps and sight.followed and not sight.followed.caption.maps)


def _add_maps(model: CaptionModel, sights: Sequence[_Sight]) -> None:
    if sights:
        begun = time.perf_counter()
        _retell(model, [sight for sight in sights if sight.found is None])
        grids = np.stack([sight.grid for sight in sights])
        maps = live_maps(model.graphs, grids, [_said(sight) for sight in sights])
        took = (time.perf_counter() - begun) * 1e3
        for sight, of_one in zip(sights, maps, strict=True):
            assert sight.followed
            sight.followed = _with_maps(sight.followed, of_one, took)


def _said(sight: _Sight) -> BeamCaption:
    """What is said of a picture: of what was found and what was retold the one that was chosen."""
    assert sight.followed
    for told in (sight.found, sight.retold):
        if told is not None and _tokens(told) == sight.followed.anchor.tokens:
            return told
    raise AssertionError("what is said was neither found nor retold")


def _with_maps(followed: Followed, maps: CaptionMaps, took_ms: float) -> Followed:
    caption, anchor = followed
    maps = replace(maps, words=maps.words[: len(caption.words)])
    timing = replace(caption.timing_ms, maps=took_ms)
    return Followed(
        replace(caption, maps=maps, timing_ms=timing),
        replace(anchor, caption=replace(anchor.caption, maps=maps)),
    )


def _likelihood(caption: BeamCaption) -> float:
    """Mean log-probability of the words and the end."""
    said = caption.tokens != PAD
    return float(caption.search_log_probs[said].mean())


def _tokens(caption: BeamCaption) -> tuple[int, ...]:
    return tuple(caption.tokens[caption.tokens != PAD].tolist())
