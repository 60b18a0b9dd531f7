"""How sure a captioner is, in probabilities that are what they say.

A word's probability is p(word | picture, the words before) at a temperature (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017). A caption's confidence is the probability that
it is mostly right: that of the words in it that carry meaning, two thirds or more are among those
of five people who described the same picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.content_words import content_words
from models.reliability import logistic

RIGHT_SHARE = 2 / 3
EVIDENCE = ("mean_log_prob", "lowest_log_prob", "words", "activity")


@dataclass(frozen=True, slots=True)
class Doubt:
    """What `python -m models.calibrate` has found for a captioner."""

    temperature: float
    """What the logits are divided by before a word's probability is told."""
    weights: tuple[float, ...]
    """Of each of `EVIDENCE`."""
    offset: float
    threshold: float
    """A caption of less confidence is too doubtful to be said."""
    beginning: float
    """The beginning of a doubtful caption is sure if the product of its words' probabilities is
    no less than this."""

    def __post_init__(self) -> None:
        if len(self.weights) != len(EVIDENCE) or not self.temperature > 0:
            raise ValueError(
                f"a doubt needs {len(EVIDENCE)} weights and a temperature above 0, not "
                f"{len(self.weights)} and {self.temperature}"
            )

    def confidence(self, evidence: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability that captions are mostly right: [..., len(EVIDENCE)] to [...]."""
        return logistic(evidence @ np.array(self.weights) + self.offset)


def evidence(log_probs: NDArray[np.floating], grid: NDArray[np.floating]) -> NDArray[np.float64]:
    """Gather what a caption's confidence hangs on.

    Args:
        log_probs: [T], of the caption's words and its end as the search went by them.
        grid: [rows, columns, channels], what the caption was read from.

    Returns:
        float64 [len(EVIDENCE)].
    """
    activity = np.linalg.norm(grid.mean(axis=(0, 1), dtype=np.float64))
    return np.array([log_probs.mean(), log_probs.min(), len(log_probs) - 1, activity], np.float64)


def is_mostly_right(caption: str, references: tuple[str, ...]) -> bool:
    """Whether most of what a caption says is said by those who described the same picture."""
    said = content_words(caption)
    known = frozenset[str]().union(*map(content_words, references))
    return bool(said) and len(said & known) >= RIGHT_SHARE * len(said)
