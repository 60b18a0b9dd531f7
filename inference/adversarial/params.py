"""What can be chosen of an adversarial analysis."""

from pydantic import BaseModel, ConfigDict, Field

from models.attacks import Norm

_LONGEST_WORD = 40


class AdversarialParams(BaseModel):
    """The choices; an analysis with the defaults takes 20 s on two cores beside a live stream."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm: Norm = "linf"
    """Of the attack that is shown beside the clean picture, and of the curve."""
    epsilon_most: float = Field(16.0, ge=0.5, le=64)
    """Up to which epsilon is searched in L-inf, in grey levels of 0..255; in L2 up to this times
    the root of the number of values, the length of an L-inf attack that changes all of them."""
    steps: int = Field(6, ge=1, le=20)
    """Of PGD, for each epsilon that it is tried with."""
    draws: int = Field(4, ge=1, le=16)
    """Of random noise, for each epsilon of the curve."""
    segments: int = Field(15, ge=2, le=60)
    """Into how many the picture is cut, about, to find which alone can flip a word."""
    epsilon_segment: float = Field(1.0, ge=0.1, le=64)
    """L-inf, inside the segment that is attacked alone."""
    say: str = Field("", max_length=_LONGEST_WORD)
    """A word to make the captioner say; empty for none."""
    lose: str = Field("", max_length=_LONGEST_WORD)
    """A word of the caption to make the captioner lose; empty for the surest object word."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Of the noise."""
