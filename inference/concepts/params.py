"""What an analysis of concepts can be asked for."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ConceptParams(BaseModel):
    """The choices, with defaults that finish within seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Literal["bank", "frames"] = "bank"
    """Against what the picture is held: the concepts that were fitted offline, or those that are
    discovered in the frames that are given, which takes minutes."""
    word: str = Field("", max_length=40, pattern=r"^[a-z0-9']*$")
    """Of the caption, whose concepts are sought; empty: all that carry meaning in the bank, the
    first one for a thing in frames."""
    concepts: int = Field(4, ge=1, le=8)
    """Of a word that are told at most."""
    rank: int = Field(6, ge=2, le=12)
    """Parts that the picture's grid is taken apart into."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Of all that is drawn at random."""
