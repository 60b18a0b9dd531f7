"""What the captioner says of one picture.

What is left to say of a caption that is too doubtful: its sure beginning, or the tags.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from inference.explanations import CaptionMaps
from models.language import is_open, sentence

Fallback = Literal["shorter", "tags"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A word that might have stood in another's place."""

    text: str
    prob: float
    """p(word | picture, words before), in 0..1."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a caption."""

    text: str
    """Lower case, as in the vocabulary."""
    prob: float
    """p(word | picture, words before), in 0..1."""
    alternatives: tuple[Alternative, ...]
    """The likeliest other words in this place, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A kind of object in the picture, whether or not the caption mentions it."""

    text: str
    """An everyday name, lower case."""
    prob: float
    """The calibrated probability that it is there, in 0..1."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the milliseconds went."""

    encoder: float
    decoder: float
    maps: float = 0.0


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption with how sure it is, as a whole and word by word."""

    text: str
    """A sentence: capitalised, with no full stop. Less than the whole caption if `fallback`."""
    confidence: float
    """How good the whole caption probably is, in 0..1; see `models.calibration.confidence`."""
    words: tuple[Word, ...]
    """The words of `text`; none if it only names the tags."""
    tags: tuple[Tag, ...]
    """The objects that are surely there, the surest first; none when unsure."""
    fallback: Fallback | None
    """What `text` is when the caption is too doubtful to be said: the part of it that is sure,
    or the tags."""
    guess: str
    """The whole caption that was too doubtful; empty if `text` is it."""
    kept: bool
    """Whether this is the stream's last caption, kept as the picture shows nothing new."""
    timing_ms: Timing
    maps: CaptionMaps | None = field(default=None, compare=False)
    """What spoke for each word, if that was computed."""

    def to_json(self) -> dict[str, Any]:
        """Return the caption as JSON values."""
        maps = self.maps.to_json() if self.maps else None
        return {**asdict(replace(self, maps=None)), "maps": maps}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Caption":
        """Read what `to_json` returned: as it was but for the levels of the maps."""
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


def without_doubt(caption: Caption, beginning: float) -> Caption:
    """Reduce a caption to what is sure of it.

    Args:
        caption: The whole caption, with its tags.
        beginning: Of the product of the probabilities of the words of a beginning, the least that
            is sure.

    Returns:
        The caption with `fallback` and `guess`: the tags where there are any, otherwise its longest
        sure beginning that can stand alone; `text` is empty when there is neither.
    """
    doubtful = replace(caption, fallback="tags", guess=caption.text, words=())
    if caption.tags:
        return replace(doubtful, text=", ".join(tag.text for tag in caption.tags))
    words = _sure_beginning(caption.words, beginning)
    if not words:
        return replace(doubtful, text="")
    text = sentence(word.text for word in words)
    return replace(doubtful, fallback="shorter", text=text, words=words)


def _sure_beginning(words: Sequence[Word], least: float) -> tuple[Word, ...]:
    sure, product = 0, 1.0
    for count, word in enumerate(words, start=1):
        product *= word.prob
        if product < least:
            break
        # Only before a word that opens another phrase is the phrase before complete.
        if count < len(words) and _opens(words[count]) and not is_open(word.text):
            sure = count
    return tuple(words[:sure])


def _opens(word: Word) -> bool:
    """Whether a word begins a phrase of its own: a preposition, a conjunction, a participle."""
    return is_open(word.text) or word.text.endswith("ing")
