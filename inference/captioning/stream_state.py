"""Whether a stream's caption is to change: not for noise, at once for a cut.

The nearer a picture is to the one for which the caption was first said, the more another caption
has to be likelier to take its place. Likelihoods are compared on the new picture, per word, in
nats; pictures by the cosine distance of what the encoder made of them.

The limits below were set for the shipped encoder and decoder, on video of 29 still scenes of 30 s
each (24 photographs of Flickr8k's development split, 5 of scikit-image; VP8 at 500 kbit/s).
Distances between pictures of the same scene, once the codec has settled: at most 0.03 with a sensor
noise of 4 grey levels, 0.06 for 99 % with 10, 0.07 for 99 % held in the hand (a shake of 3 pixels).
A person who speaks moves by 0.04 to 0.12 in a second; an object that enters and covers 5 % of the
picture by 0.04 to 0.22, 13 % by 0.08 to 0.34. Of 499,500 pairs of different photographs 21 lie
under 0.25, and they show nearly the same. Gains on those still scenes, where another caption was
found: under 0.06, 0.15 and 0.19 for 90 % (in the order above); a photograph's own caption against
another's: over 0.9. `python -m tests.bench --only steadiness` shows what comes of it.
"""

import base64
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Caption
from models.language.content_words import content_words

STILL = 0.03
"""A picture that is no farther than this from the one last captioned needs no other caption."""


CUT = 0.25
"""A picture that is as far as this from the caption's own is of another scene."""


PARAPHRASE_GAIN = 0.4
"""By how much a caption of the same content must be likelier per word where nothing moved."""


NEWS_GAIN = 0.25
"""The same of one whose content differs. Both fall to nothing as the distance reaches `CUT`."""


Features = NDArray[np.float16]
"""The mean over its cells of a grid, [channels]."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What a stream's caption rests on. A stream hands it in again with its next picture."""

    caption: Caption
    tokens: tuple[int, ...]
    """Of the whole caption, also when it was too doubtful to be said; its end included."""
    features: Features
    """Of the picture that the caption was last computed from."""
    origin: Features
    """Of the last picture of which the search itself found this caption, in these words or
    others."""

    def to_json(self) -> dict[str, Any]:
        """Return the anchor as JSON values."""
        return {
            "caption": self.caption.to_json(),
            "tokens": list(self.tokens),
            "features": _to_text(self.features),
            "origin": _to_text(self.origin),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            Caption.from_json(values["caption"]),
            tuple(values["tokens"]),
            _from_text(values["features"]),
            _from_text(values["origin"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture, and what came before it."""

    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    anchor: Anchor | None = None
    """Of the stream's last caption; None for the first picture of a stream."""
    afresh: bool = False
    """Whether to search for a caption even if nothing moved."""
    maps: bool = True
    """Whether the caption is to come with maps. A caption that is kept keeps those that it has."""


class Followed(NamedTuple):
    """What is said of a picture."""

    caption: Caption
    anchor: Anchor
    """For the stream's next picture."""


def features(grid: NDArray[np.floating]) -> Features:
    """Reduce a grid [rows, columns, channels] to what pictures are compared by."""
    return np.asarray(grid.mean(axis=(0, 1)), np.float16)


def distance(one: Features, other: Features) -> float:
    """Cosine distance, 0 to 1 for features that are not negative; 1 from and to nothing."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(1 - a @ b / norms) if norms else 1.0


def takes_over(new: str, old: str, gain: float, moved: float) -> bool:
    """Decide whether a new caption takes the place of the old one.

    Args:
        new: The caption that was found for the new picture.
        old: The caption that the stream has.
        gain: By how much the new one is likelier on the new picture, in nats per word.
        moved: Distance from the picture that the old one was first said of.
    """
    if moved >= CUT:
        return True
    margin = PARAPHRASE_GAIN if content_words(new) == content_words(old) else NEWS_GAIN
    return gain > margin * (1 - moved / CUT)


def _to_text(values: Features) -> str:
    return base64.b64encode(values.astype("<f2").tobytes()).decode()


def _from_text(text: str) -> Features:
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float16)
