"""A caption with its confidence, words and tags."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from inference.explanations import CaptionMaps

Fallback = Literal["shorter", "words", "tags", "blank"]

NOT_CALIBRATED = "not calibrated"
"""What is shown in place of the confidence of a caption that has none."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A runner-up for a word of a caption."""

    text: str
    prob: float
    """p(word | image, previous words), in 0..1."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a caption."""

    text: str
    """Lower case, as in the vocabulary."""
    prob: float | None
    """p(word | image, previous words), in 0..1; None if unknown. In a caption without a confidence
    it is a score: it ranks the words, and is not shown as a percentage."""
    alternatives: tuple[Alternative, ...]
    """The most probable other words in this place, the most probable first."""
    confidence: float | None = None
    """Probability that people say the word, or a synonym, of the image, in 0..1; see
    `models.calibration.word_confidence`. None if the captioner is not calibrated, and for words
    such as "a" and "on"."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A kind of object in the image, whether or not the caption mentions it."""

    text: str
    """An everyday name, lower case."""
    prob: float
    """The calibrated probability that it is in the image, in 0..1."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long each part of captioning took, in milliseconds, and where."""

    encoder: float
    decoder: float
    maps: float = 0.0
    endpoint: float = 0.0
    """Of another server that captioned the frame."""
    replica: str = ""
    """Name of the replica of a captioner pool that captioned the frame; empty without a pool."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption with its confidence, as a whole and word by word."""

    text: str
    """A sentence: capitalised, without a full stop. The fallback if there is one."""
    confidence: float | None
    """Probability that the whole caption is good, in 0..1; see `models.calibration.confidence`.
    None if the captioner is not calibrated: then no percentage is shown for the caption."""
    words: tuple[Word, ...]
    """The words of `text`; none if it only names tags or objects."""
    tags: tuple[Tag, ...]
    """Objects that are probably in the image, the most probable first; none when unsure."""
    fallback: Fallback | None
    """What `text` is when the confidence is too low: the likely beginning of the caption, objects
    from anywhere in it ("dog, grass"), or the tags. `blank` if the image shows nothing: then there
    is no text."""
    guess: str
    """The whole caption of low confidence; empty if `text` is the whole caption."""
    kept: bool
    """Whether this is the stream's last caption, kept because the frame shows nothing new."""
    timing_ms: Timing
    runner_up: str = ""
    """The next best caption that was found; empty if none is known."""
    instead_of: str = ""
    """The caption that the search alone ranked first, if the captioner chose this one because it
    agrees better with how similar images are described, see `models.consensus`; else empty."""
    maps: CaptionMaps | None = field(default=None, compare=False)
    """The heat maps of the words, if they were computed."""

    def to_json(self) -> dict[str, Any]:
        """Return the caption as JSON values."""
        maps = self.maps.to_json() if self.maps else None
        return {**asdict(replace(self, maps=None)), "maps": maps}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Caption":
        """Read what `to_json` returned; only the maps are rounded."""
        words = tuple(
            Word(**{**word, "alternatives": tuple(Alternative(**a) for a in word["alternatives"])})
            for word in values["words"]
        )
        parts = {
            "words": words,
            "tags": tuple(Tag(**tag) for tag in values["tags"]),
            "timing_ms": Timing(**values["timing_ms"]),
            "maps": values["maps"] and CaptionMaps.from_json(values["maps"]),
        }
        return cls(**{**values, **parts})


def word_ranks(words: Sequence[Word]) -> tuple[int | None, ...]:
    """Rank the words of a caption by probability.

    Returns:
        The rank of each word, 1 for the most probable; equal words share the better rank. None for
        a word of unknown probability.
    """
    probs = sorted((word.prob for word in words if word.prob is not None), reverse=True)
    return tuple(None if word.prob is None else probs.index(word.prob) + 1 for word in words)
