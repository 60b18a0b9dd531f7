"""A caption with its confidence, words and tags, and the fallback for one of low confidence."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from inference.explanations import CaptionMaps
from models.language import is_dangling, sentence

Fallback = Literal["shorter", "tags"]

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


@dataclass(frozen=True, slots=True)
class Tag:
    """A kind of object in the image, whether or not the caption mentions it."""

    text: str
    """An everyday name, lower case."""
    prob: float
    """The calibrated probability that it is in the image, in 0..1."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long each part of captioning took, in milliseconds."""

    encoder: float
    decoder: float
    maps: float = 0.0
    endpoint: float = 0.0
    """Of another server that captioned the frame."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption with its confidence, as a whole and word by word."""

    text: str
    """A sentence: capitalised, without a full stop. The fallback if there is one."""
    confidence: float | None
    """Probability that the whole caption is good, in 0..1; see `models.calibration.confidence`.
    None if the captioner is not calibrated: then no percentage is shown for the caption."""
    words: tuple[Word, ...]
    """The words of `text`; none if it only names the tags."""
    tags: tuple[Tag, ...]
    """Objects that are probably in the image, the most probable first; none when unsure."""
    fallback: Fallback | None
    """What `text` is when the confidence is too low: the likely beginning of the caption, or the
    tags."""
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


def low_confidence_fallback(caption: Caption, threshold: float) -> Caption:
    """Reduce a caption of low confidence to the part that is likely to be right.

    Args:
        caption: The whole caption of a calibrated captioner, with its tags.
        threshold: A beginning of the caption is kept if the product of its words' probabilities is
            at least this.

    Returns:
        The caption with `fallback` and `guess`: the tags if there are any, otherwise the longest
        likely beginning that can stand alone; `text` is empty if there is neither.
    """
    fallback = replace(caption, fallback="tags", guess=caption.text, words=())
    if caption.tags:
        return replace(fallback, text=", ".join(tag.text for tag in caption.tags))
    words = _likely_beginning(caption.words, threshold)
    if not words:
        return replace(fallback, text="")
    text = sentence(word.text for word in words)
    return replace(fallback, fallback="shorter", text=text, words=words)


def word_ranks(words: Sequence[Word]) -> tuple[int | None, ...]:
    """Rank the words of a caption by probability.

    Returns:
        The rank of each word, 1 for the most probable; equal words share the better rank. None for
        a word of unknown probability.
    """
    probs = sorted((word.prob for word in words if word.prob is not None), reverse=True)
    return tuple(None if word.prob is None else probs.index(word.prob) + 1 for word in words)


def _likely_beginning(words: Sequence[Word], threshold: float) -> tuple[Word, ...]:
    length, product = 0, 1.0
    for count, word in enumerate(words, start=1):
        product *= word.prob or 0.0
        if product < threshold:
            break
        # A phrase is only complete before a word that starts another one.
        if count < len(words) and _starts_phrase(words[count]) and not is_dangling(word.text):
            length = count
    return tuple(words[:length])


def _starts_phrase(word: Word) -> bool:
    """Whether a word starts a new phrase: a preposition, a conjunction or a participle."""
    return is_dangling(word.text) or word.text.endswith("ing")
