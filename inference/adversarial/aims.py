"""What attacks are to bring about, and how near a picture is to it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.explanations.objective import Objective
from inference.explanations.subject import Subject
from models.language import END, PAD, SPECIAL_WORDS, Vocabulary

Grid = NDArray[np.float32]
"""[rows, columns, channels]"""


class Sight(NamedTuple):
    """What is seen of an attacked picture."""

    reached: bool
    """Whether the aim is."""
    tokens: tuple[int, ...]
    """The words that are said then; of `FlipWord`, the one that is likeliest in the place."""
    objective: Objective
    """What to raise from here."""


class Aim(ABC):
    """What an attack on a subject is to bring about."""

    @abstractmethod
    def look(self, grid: Grid) -> Sight:
        """Look at the grid of an attacked picture."""


class ChangeCaption(Aim):
    """That something else is said than of the clean picture; lowers the caption's likelihood."""

    def __init__(self, subject: Subject) -> None:
        """Aim at a subject's caption, and at what the search finds on its picture alone.

        These are the same, unless a stream has kept a caption for a picture that shows nothing new
        or goes by another beam width; to say either is no change.
        """
        self._model = subject.model
        found = words_of(self._model.search(subject.grid[None]).tokens[0])
        self.usual = frozenset({subject.words, found})
        self.found = found
        self._objective = lowering(subject.tokens, range(len(subject.tokens)))

    def look(self, grid: Grid) -> Sight:  # noqa: D102
        said = words_of(self._model.search(grid[None]).tokens[0])
        return Sight(said not in self.usual, said, self._objective)


class FlipWord(Aim):
    """That another word is likelier in a word's place, given the same words before."""

    def __init__(self, subject: Subject, place: int) -> None:
        """Aim at the word in that place of a subject's caption."""
        self._model, self._tokens, self._place = subject.model, subject.tokens, place
        self._objective = lowering(subject.tokens[: place + 1], [place])

    def look(self, grid: Grid) -> Sight:  # noqa: D102
        likeliest = int(self.likeliest(grid[None])[0])
        return Sight(likeliest != self._tokens[self._place], (likeliest,), self._objective)

    def likeliest(self, grids: NDArray[np.float32]) -> NDArray[np.int32]:
        """Tell the likeliest word in the place for each grid [B, ...]: [B]."""
        told = self._model.retell(grids, [self._tokens] * len(grids))
        return np.asarray(told.alternative_tokens[:, self._place, 0], np.int32)


class SayWord(Aim):
    """That the caption says a word, in any place of it; see `Objective` for the keyword loss."""

    def __init__(self, subject: Subject, word: str) -> None:
        """Aim at a word of the vocabulary.

        Raises:
            ValueError: If it is none, or the caption says it already.
        """
        self._model = subject.model
        self._word = token_of(word, subject.model.captioner.vocabulary)
        if self._word in subject.words:
            raise ValueError(f"the caption says {word!r} already")

    def look(self, grid: Grid) -> Sight:  # noqa: D102
        told = self._model.search(grid[None]).tokens[0]
        said = words_of(told)
        now = until_end(told)
        nothing = np.full(len(now), PAD, np.int32)
        return Sight(self._word in said, said, Objective(now, nothing, self._word))


class LoseWord(Aim):
    """That the caption does not say a word any more, in any place of it."""

    def __init__(self, subject: Subject, word: str) -> None:
        """Aim at a word of a subject's caption.

        Raises:
            ValueError: If the captioner does not know it, or the caption does not say it.
        """
        self._model = subject.model
        self._word = token_of(word, subject.model.captioner.vocabulary)
        if self._word not in subject.words:
            raise ValueError(f"the caption does not say {word!r}, so that it cannot lose it")
        self._subject = subject

    def look(self, grid: Grid) -> Sight:  # noqa: D102
        told = self._model.search(grid[None]).tokens[0]
        said = words_of(told)
        teacher = until_end(told) if self._word in said else np.array(self._subject.tokens)
        places = np.flatnonzero(teacher == self._word).tolist()
        return Sight(self._word not in said, said, lowering(teacher.tolist(), places))


def lowering(tokens: Sequence[int], places: Sequence[int]) -> Objective:
    """Make some words of a caption unlikely."""
    told = np.array(tokens, np.int32)
    lowered = np.full_like(told, PAD)
    lowered[list(places)] = told[list(places)]
    return Objective(told, lowered)


def token_of(word: str, vocabulary: Vocabulary) -> int:
    """Find a word.

    Raises:
        ValueError: If the vocabulary has no such word.
    """
    if word in SPECIAL_WORDS or word not in vocabulary.words:
        raise ValueError(f"the captioner does not know the word {word!r}")
    return vocabulary.words.index(word)


def until_end(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Cut the padding off a caption [T]."""
    return np.asarray(tokens[tokens != PAD], np.int32)


def words_of(tokens: NDArray[np.int32]) -> tuple[int, ...]:
    """The words of a caption [T], without its end and padding."""
    return tuple(int(token) for token in tokens if token not in (END, PAD))
