"""Scores of masked copies of an image, computed a few at a time and shared by all targets.

A copy is encoded and scored once: teacher forcing scores every word of the caption, its
alternatives and all tags together, so that the map of a second word needs no further pass. The
scores are kept with the captioned image. They are small (at most some 200 kB for 400 copies),
unlike the encodings, which are dropped once they are scored.
"""

from collections.abc import Callable, Generator, Hashable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import Ability
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masking import encode_masked
from inference.explanations.score import CopyScores, Score

_SCORED_BATCHES = 4
"""Batches that are encoded before they are scored together: the decoder takes half the time a copy
in a batch of 16."""

_MAX_KEPT = 4
"""Of one image: methods, and contrasts with words that are no alternatives."""

Mask = NDArray[np.floating]
"""[S, S]: 1 where the image is visible, 0 where it is painted in its mean colour."""


def masked_scores(
    subject: CaptionedImage,
    score: Score,
    name: Hashable,
    masks: Callable[[], Iterator[Mask]],
    count: int,
) -> "MaskedScores":
    """Return the scores of masked copies that a target needs, as far as they were computed.

    Args:
        subject: The captioned image.
        score: Of the target.
        name: Of the masks; the same name stands for the same masks.
        masks: Returns an iterator over at least `count` masks.
        count: Number of copies.
    """
    candidates = subject.candidates
    if not score.can_read(candidates):
        candidates = np.column_stack([candidates, score.own_candidates(len(candidates))])
    key = name, candidates.tobytes()
    if key not in subject.masked:
        while len(subject.masked) >= _MAX_KEPT:
            subject.masked.pop(next(iter(subject.masked)))
        subject.masked[key] = MaskedScores(subject, masks(), count, candidates)
    return subject.masked[key]


class MaskedScores:
    """The scores of the copies of an image under a sequence of masks.

    Several maps may be computed from it in turn: what one has advanced the others find done.
    """

    def __init__(
        self,
        subject: CaptionedImage,
        masks: Iterator[Mask],
        count: int,
        candidates: NDArray[np.int32],
    ) -> None:
        """Start without scores; see `masked_scores` for the arguments."""
        self._subject, self._model = subject, subject.model
        self._masks, self.count = masks, count
        self._tokens = np.array(subject.tokens, np.int32)
        self._waiting: list[Mask] = []
        self._encodings: list[NDArray[np.float32]] = []
        self._encoded = self.done = 0
        places, width = candidates.shape
        kinds = subject.model.tag_logits(subject.grid[None]).shape[1] if self._has_tags else 0
        self._scores = CopyScores(
            candidates,
            np.zeros((count, places), np.float32),
            np.zeros((count, places, width), np.float32),
            np.zeros((count, kinds), np.float32),
        )

    @property
    def _has_tags(self) -> bool:
        return Ability.TAGS in self._model.abilities

    @property
    def share(self) -> float:
        """The share of the copies that is encoded, in 0..1."""
        return self._encoded / self.count

    def copies(self, start: int, stop: int) -> CopyScores:
        """Return the scores of some copies, which must be done."""
        candidates, *scores = self._scores
        return CopyScores(candidates, *(part[start:stop] for part in scores))

    def until(self, stop: int) -> Generator[float, None, bool]:
        """Score the copies up to one; return whether any had to be scored still.

        Yields:
            `share`, about every 50 ms.
        """
        begun = self.done
        while self.done < stop:
            self._advance(stop)
            yield self.share
        return begun < stop

    def _advance(self, stop: int) -> None:
        """Encode the next few copies, or score those that are encoded."""
        full = len(self._encodings) >= _SCORED_BATCHES
        if full or self._encoded >= stop:
            self._score()
            return
        if not self._waiting:
            size = min(self._model.max_batch, stop - self._encoded)
            self._waiting = list(islice(self._masks, size))
        (encodings,) = encode_masked(self._subject, self._waiting)
        self._encodings.append(encodings)
        self._encoded += len(self._waiting)
        self._waiting = []

    def _score(self) -> None:
        encodings = np.concatenate(self._encodings)
        to = slice(self.done, self.done + len(encodings))
        candidates, log_probs, logits, tags = self._scores
        scores = self._model.token_scores(encodings, self._tokens, candidates)
        log_probs[to], logits[to] = scores
        if self._has_tags:
            tags[to] = self._model.tag_logits(encodings)
        self.done, self._encodings = to.stop, []
