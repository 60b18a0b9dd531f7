"""What a check of a map found: whether the places that it points at are what the word rests on."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """The probability of a word, given the words before it, with parts of the picture blanked."""

    share: float
    """Of the picture that was blanked, in 0..1."""
    prob: float
    """With nothing blanked, in 0..1."""
    blanked: float
    """With the top of the map blanked."""
    random: tuple[float, float, float]
    """With as much of other places blanked: the lowest, the median and the highest of the draws."""

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {**asdict(self), "random": list(self.random)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Check":
        """Read what `to_json` returned."""
        lowest, median, highest = values["random"]
        return cls(values["share"], values["prob"], values["blanked"], (lowest, median, highest))
