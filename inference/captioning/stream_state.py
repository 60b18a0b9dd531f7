"""The state of a stream's caption, and the rule for when a new caption replaces it.

A caption changes at once with the scene, and not with noise. The closer a frame is to the one for
which the caption was first found, the more probable another caption has to be to replace it.
Captions are compared by their log-probability on the new frame, per word, in nats; frames by the
cosine distance of the encoder's features.

The thresholds below were set for the shipped encoder and decoder, on video of 29 still scenes of
30 s each (24 photographs of Flickr8k's development split, 5 of scikit-image; VP8 at 500 kbit/s).
Distances between frames of the same scene, once the codec has settled: at most 0.03 with a sensor
noise of 4 grey levels; 99 % under 0.06 with 10; 99 % under 0.07 for a hand-held camera (a shake of
3 pixels). A person who talks moves the features by 0.04 to 0.12 in a second; an object that enters
and covers 5 % of the frame by 0.04 to 0.22, 13 % by 0.08 to 0.34. Of 499,500 pairs of different
photographs 21 are under 0.25, and they show nearly the same. Gains in log-probability of another
caption on those still scenes: 90 % under 0.06, 0.15 and 0.19 (in the order above); of a
photograph's own caption over another photograph's: over 0.9. `python -m tests.bench --only
steadiness` measures the effect.
"""

import base64
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Caption
from models.language import content_words

STILL_DISTANCE = 0.03
"""A frame at most this far from the last captioned one keeps the caption without a search."""

SCENE_CUT_DISTANCE = 0.25
"""A frame at least this far from the caption's own one shows another scene."""

PARAPHRASE_GAIN = 0.4
"""Gain in log-probability per word that a caption of the same content needs on a still scene."""

NEW_CONTENT_GAIN = 0.25
"""The same for a caption of other content. Both gains fall linearly to 0 at the scene cut
distance."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """A captioner's thresholds; the defaults are those of the shipped captioner."""

    still: float = STILL_DISTANCE
    scene_cut: float = SCENE_CUT_DISTANCE
    paraphrase_gain: float = PARAPHRASE_GAIN
    new_content_gain: float = NEW_CONTENT_GAIN


Features = NDArray[np.float16]
"""The mean of a grid over its cells, [channels]."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """The state of a stream's caption, to be passed with the stream's next frame."""

    caption: Caption
    tokens: tuple[int, ...]
    """The whole caption with its end token, even if `caption` has a fallback."""
    features: Features
    """Of the frame for which the caption was last computed."""
    origin: Features
    """Of the last frame for which the search itself found a caption of this content."""
    captioner: str = ""
    """Identifies the captioner that made it, where another may caption the stream's next frame; see
    `EngineInfo.fingerprint`."""

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "caption": self.caption.to_json(),
            "tokens": list(self.tokens),
            "features": _to_base64(self.features),
            "origin": _to_base64(self.origin),
            "captioner": self.captioner,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            Caption.from_json(values["caption"]),
            tuple(values["tokens"]),
            _from_base64(values["features"]),
            _from_base64(values["origin"]),
            values["captioner"],
        )


@dataclass(frozen=True, slots=True, eq=False)
class FrameRequest:
    """A frame to caption, with the state of its stream."""

    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    state: StreamState | None = None
    """The state that came with the stream's last caption; None for its first frame."""
    refresh: bool = False
    """Whether to search for a caption even if the scene is still."""
    maps: bool = True
    """Whether the caption should have maps. A caption that is kept keeps the maps that it has."""
    background: bool = False
    """Whether frames of live streams are captioned before it, within limits."""
    max_wait_s: float | None = None
    """Seconds that it may wait for the captioner, after which it is dropped as too old; unlimited
    if None."""


class FrameResult(NamedTuple):
    """The caption of a frame."""

    caption: Caption
    state: StreamState
    """For the stream's next frame."""


def frame_features(grid: NDArray[np.floating]) -> Features:
    """Reduce a grid [rows, columns, channels] to the features by which frames are compared."""
    return np.asarray(grid.mean(axis=(0, 1)), np.float16)


def feature_distance(one: Features, other: Features) -> float:
    """Return the cosine distance: 0 to 1 for non-negative features; 1 if either is all zero."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(1 - a @ b / norms) if norms else 1.0


def should_replace_caption(
    new: str, old: str, gain: float, distance: float, thresholds: Steadiness = Steadiness()
) -> bool:
    """Decide whether a new caption replaces the stream's caption.

    Args:
        new: The caption found for the new frame.
        old: The stream's caption.
        gain: Log-probability of the new caption on the new frame less that of the old one, in nats
            per word.
        distance: Feature distance from the frame for which the old caption was first found.
        thresholds: The captioner's.
    """
    if distance >= thresholds.scene_cut:
        return True
    same_content = content_words(new) == content_words(old)
    margin = thresholds.paraphrase_gain if same_content else thresholds.new_content_gain
    return gain > margin * (1 - distance / thresholds.scene_cut)


def _to_base64(values: Features) -> str:
    return base64.b64encode(values.astype("<f2").tobytes()).decode()


def _from_base64(text: str) -> Features:
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float16)
