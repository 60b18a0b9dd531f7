"""What is said of attacked pictures, beside what was said of the clean one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.aims import ChangeCaption, words_of
from inference.adversarial.word_diff import edit_count, word_diff
from inference.explanations.subject import Subject


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What is said of some pictures."""

    captions: list[tuple[int, ...]]
    """The words of each."""
    changes: NDArray[np.float64]
    """[B]: how far each caption is from one that is said of the clean picture, in word edits over
    its words, at most 1."""
    log_probs: NDArray[np.float32]
    """[B, T]: of the words of the clean picture's caption, teacher-forced, in nats, calibrated."""


class Saying:
    """Captions pictures, and compares with a subject's caption."""

    def __init__(self, subject: Subject, usual: ChangeCaption) -> None:
        """Compare with what is usual, see `ChangeCaption.usual`."""
        self._subject, self._usual = subject, usual.usual

    def of(self, pixels: NDArray[np.float32]) -> Said:
        """Caption pictures of the captioner's own size, float32 [B, S, S, 3]."""
        model, tokens = self._subject.model, self._subject.tokens
        grids = model.encode_pixels(pixels)
        captions = [words_of(row) for row in model.search(grids).tokens]
        told = model.retell(grids, [tokens] * len(grids))
        return Said(
            captions=captions,
            changes=np.array([self.change(caption) for caption in captions]),
            log_probs=np.asarray(told.log_probs)[:, : len(self._subject.words)],
        )

    def change(self, caption: tuple[int, ...]) -> float:
        """How far a caption is from what is usual, in 0..1."""
        return min(_share(usual, caption) for usual in self._usual)


def _share(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    # Tokens serve as words: each is another.
    edits = word_diff([str(token) for token in before], [str(token) for token in after])
    return min(1.0, edit_count(edits) / max(1, len(before)))
