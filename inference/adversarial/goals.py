"""Goals of adversarial attacks: whether a perturbed image reaches them, and what to optimise."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.objective import AttackObjective
from models.language import END, PAD, SPECIAL_WORDS, Vocabulary

Grid = NDArray[np.float32]
"""[rows, columns, channels]"""


class Evaluation(NamedTuple):
    """State of a goal for one perturbed image."""

    reached: bool
    tokens: tuple[int, ...]
    """Words of the caption; for `FlipWord`, the most likely word in the attacked place."""
    objective: AttackObjective
    """What to maximise from here."""


class Goal(ABC):
    """The change in the caption that an attack tries to cause."""

    @abstractmethod
    def evaluate(self, grid: Grid) -> Evaluation:
        """Evaluate the goal on the grid of a perturbed image."""


class ChangeCaption(Goal):
    """Change the caption to any other; minimises the likelihood of the original one."""

    def __init__(self, subject: CaptionedImage) -> None:
        """Attack a subject's caption.

        The beam search's result on the subject's image alone counts as unchanged, too. It differs
        from the subject's caption if a stream reused the caption of an earlier frame or searched
        with another beam width.
        """
        self._model = subject.model
        self.searched = strip_special(self._model.search(subject.grid[None]).tokens[0])
        """Words that beam search finds for the clean image."""
        self.unchanged = frozenset({subject.words, self.searched})
        """Captions that do not count as a change."""
        self._objective = lowering_objective(subject.tokens, range(len(subject.tokens)))

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        words = strip_special(self._model.search(grid[None]).tokens[0])
        return Evaluation(words not in self.unchanged, words, self._objective)


class FlipWord(Goal):
    """Make another word more likely in a word's place, given the same preceding words."""

    def __init__(self, subject: CaptionedImage, place: int) -> None:
        """Attack the word at index `place` of a subject's caption."""
        self._model, self._tokens, self._place = subject.model, subject.tokens, place
        self._objective = lowering_objective(subject.tokens[: place + 1], [place])

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        likeliest = int(self.likeliest(grid[None])[0])
        return Evaluation(likeliest != self._tokens[self._place], (likeliest,), self._objective)

    def likeliest(self, grids: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return the most likely token in the place for each grid [B, ...], as [B]."""
        scored = self._model.rescore(grids, [self._tokens] * len(grids))
        return np.asarray(scored.alternative_tokens[:, self._place, 0], np.int32)


class AddWord(Goal):
    """Make the caption contain a word, in any place; see `AttackObjective` for the keyword loss."""

    def __init__(self, subject: CaptionedImage, word: str) -> None:
        """Attack with a word of the vocabulary.

        Raises:
            ValueError: If the word is not in the vocabulary, or already in the caption.
        """
        self._model = subject.model
        self._word = find_token(word, subject.model.captioner.vocabulary)
        if self._word in subject.words:
            raise ValueError(f"the caption already contains {word!r}")

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        tokens = self._model.search(grid[None]).tokens[0]
        words, current = strip_special(tokens), strip_padding(tokens)
        nothing = np.full(len(current), PAD, np.int32)
        return Evaluation(self._word in words, words, AttackObjective(current, nothing, self._word))


class DropWord(Goal):
    """Make the caption no longer contain a word, in any place."""

    def __init__(self, subject: CaptionedImage, word: str) -> None:
        """Attack a word of a subject's caption.

        Raises:
            ValueError: If the word is not in the vocabulary, or not in the caption.
        """
        self._model = subject.model
        self._word = find_token(word, subject.model.captioner.vocabulary)
        if self._word not in subject.words:
            raise ValueError(f"the caption does not contain {word!r}, so it cannot be removed")
        self._subject = subject

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        tokens = self._model.search(grid[None]).tokens[0]
        words = strip_special(tokens)
        present = self._word in words
        teacher = strip_padding(tokens) if present else np.array(self._subject.tokens)
        places = np.flatnonzero(teacher == self._word).tolist()
        return Evaluation(not present, words, lowering_objective(teacher.tolist(), places))


def lowering_objective(tokens: Sequence[int], places: Sequence[int]) -> AttackObjective:
    """Build the objective that lowers the likelihood of a caption's words at some places."""
    caption = np.array(tokens, np.int32)
    lowered = np.full_like(caption, PAD)
    lowered[list(places)] = caption[list(places)]
    return AttackObjective(caption, lowered)


def find_token(word: str, vocabulary: Vocabulary) -> int:
    """Return the token of a word.

    Raises:
        ValueError: If the word is not in the vocabulary.
    """
    if word in SPECIAL_WORDS or word not in vocabulary.words:
        raise ValueError(f"{word!r} is not in the captioner's vocabulary")
    return vocabulary.words.index(word)


def strip_padding(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Remove the padding from a caption [T]."""
    return np.asarray(tokens[tokens != PAD], np.int32)


def strip_special(tokens: NDArray[np.int32]) -> tuple[int, ...]:
    """Return the words of a caption [T], without the end token and padding."""
    return tuple(int(token) for token in tokens if token not in (END, PAD))
