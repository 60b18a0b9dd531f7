"""Goals of adversarial attacks: whether a perturbed image reaches them, and what to optimise."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.captioning.objective import AttackObjective
from inference.captioning.wording import WordSpan
from inference.explanations.captioned_image import CaptionedImage
from models.language import PAD

_MOST_RIVALS = 1
"""Other words that are attacked towards, besides what attacks reach by themselves."""

Grid = NDArray[np.float32]
"""An encoding, see `inference.captioning.model`."""


class Evaluation(NamedTuple):
    """State of a goal for one perturbed image."""

    reached: bool
    tokens: tuple[int, ...]
    """Of the caption's words; for `FlipWord`, of the most likely word in the attacked place, none
    if the caption would end there."""
    objective: AttackObjective
    """What to maximise from here."""
    margin: "Margin | None" = None
    """Of the original over what took its place, if the goal is reached by a single rival."""


class Margin(NamedTuple):
    """By how much the score of the original is above a rival's; an attack takes it below 0.

    It is the log-probability of the original minus that of the rival, each with a weight.
    """

    own: AttackObjective
    """Lowers the original."""
    rival: AttackObjective
    """Lowers the rival; to be subtracted."""
    own_weight: float = 1.0
    rival_weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class AdversarialExample:
    """A perturbation that was observed to reach the goal."""

    attack: str
    """`fgsm`, `fab` or `pgd`; empty if none was needed."""
    epsilon: float
    """Norm of the perturbation."""
    perturbation: NDArray[np.float32]
    """[1, S, S, 3]"""
    tokens: tuple[int, ...]
    """See `Evaluation.tokens`."""
    margin: Margin | None
    """See `Evaluation.margin`."""


class Goal(ABC):
    """The change in the caption that an attack tries to cause."""

    @abstractmethod
    def evaluate(self, grid: Grid) -> Evaluation:
        """Evaluate the goal on the grid of a perturbed image."""

    def margins(self) -> list[Margin]:
        """Return the margins over the nearest rivals on the clean image, as far as known."""
        return []


class ChangeCaption(Goal):
    """Change the caption to any other; minimises the likelihood of the original one."""

    def __init__(self, subject: CaptionedImage) -> None:
        """Attack a subject's caption.

        The beam search's result on the subject's image alone counts as unchanged, too. It differs
        from the subject's caption if a stream reused the caption of an earlier frame or searched
        with another beam width.
        """
        self._model, self._subject, self._tokens = subject.model, subject, subject.tokens
        self._strip = subject.model.wording.strip
        found = self._model.search(subject.grid[None])
        self._beam = [strip_padding(tokens).tolist() for tokens in found.beam[0]]
        self.searched = self._strip(found.tokens[0])
        """Tokens of the words that beam search finds for the clean image."""
        self.unchanged = frozenset({subject.words, self.searched})
        """Captions that do not count as a change."""
        self._objective = lowering_objective(subject.tokens, range(len(subject.tokens)))

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        tokens = strip_padding(self._model.search(grid[None]).tokens[0]).tolist()
        words = self._strip(tokens)
        if words in self.unchanged:
            return Evaluation(False, words, self._objective)
        return Evaluation(True, words, self._objective, self._margin(tokens))

    def margins(self) -> list[Margin]:
        """Return the margins over the other captions of the beam, and over the closest word.

        A word that becomes improbable may push the caption out of the beam, whatever takes its
        place in the end.
        """
        captions = [
            self._margin(tokens)
            for tokens in self._beam
            if tokens and self._strip(tokens) not in self.unchanged
        ]
        return captions + self._word_margins()

    def _word_margins(self) -> list[Margin]:
        """Return the margins over the tokens that come closest to the caption's own."""
        tokens, scored = self._subject.tokens, self._subject.rescored
        places, log_probs = np.arange(len(tokens)), np.asarray(scored.alternative_log_probs)
        others = np.asarray(scored.alternative_tokens)[places]
        gaps = np.asarray(scored.log_probs)[places, None] - log_probs[places]
        gaps[others == np.array(tokens)[:, None]] = np.inf
        nearest = np.argsort(gaps, axis=None)[:_MOST_RIVALS]
        return [
            token_margin(tokens, int(place), int(others[place, rank]))
            for place, rank in zip(*np.unravel_index(nearest, gaps.shape), strict=True)
        ]

    def _margin(self, rival: Sequence[int]) -> Margin:
        """Compare scores as the beam search ranks captions, see `BeamConfig.length_power`."""
        power = self._model.card.beam.length_power
        return Margin(
            self._objective,
            lowering_objective(rival, range(len(rival))),
            len(self._tokens) ** -power,
            len(rival) ** -power,
        )


class FlipWord(Goal):
    """Make another word more likely in a word's place, given the same preceding words.

    A word of several tokens is another one as soon as another token is more likely in one of their
    places.
    """

    def __init__(self, subject: CaptionedImage, place: int) -> None:
        """Attack the word at index `place` of a subject's caption."""
        self._model, self._tokens = subject.model, subject.tokens
        self._word = word = subject.spans[place]
        self._alternatives = np.asarray(subject.rescored.alternative_tokens)
        self._objective = lowering_objective(
            subject.tokens[: word.stop], range(word.start, word.stop)
        )

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        (likeliest,) = self.likeliest(grid[None])
        own = self._tokens[self._word.start : self._word.stop]
        if not self._flipped(likeliest[None])[0]:
            return Evaluation(False, own, self._objective)
        first = int(np.flatnonzero(likeliest != np.array(own))[0])
        token = int(likeliest[first])
        words = self._model.wording.strip([*own[:first], token])
        return Evaluation(True, words, self._objective, self._margin(first, token))

    def margins(self) -> list[Margin]:
        """Return the margins over the most probable other tokens in the word's places."""
        return [
            self._margin(place, token)
            for place, own in enumerate(self._tokens[self._word.start : self._word.stop])
            for token in self._alternatives[self._word.start + place].tolist()
            if token != own
        ][:_MOST_RIVALS]

    def _margin(self, place: int, token: int) -> Margin:
        return token_margin(self._tokens, self._word.start + place, token)

    def flipped(self, grids: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return whether another word is more likely in the place, for each grid [B, ...]: [B]."""
        return self._flipped(self.likeliest(grids))

    def likeliest(self, grids: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return the most likely token in each of the word's places, given the preceding tokens.

        Returns:
            For each grid [B, ...], [B, tokens of the word].
        """
        scored = self._model.rescore(grids, [self._tokens] * len(grids))
        places = slice(self._word.start, self._word.stop)
        return np.asarray(scored.alternative_tokens[:, places, 0], np.int32)

    def _flipped(self, likeliest: NDArray[np.int32]) -> NDArray[np.bool_]:
        own = self._tokens[self._word.start : self._word.stop]
        return np.asarray((likeliest != np.array(own)).any(axis=1))


class AddWord(Goal):
    """Make the caption contain a word, in any place; see `AttackObjective` for the keyword loss.

    Of a word of several tokens, the first is raised until the caption contains it, and then the
    next one after it.
    """

    def __init__(self, subject: CaptionedImage, word: str) -> None:
        """Attack with a word of the vocabulary.

        Raises:
            ValueError: If the captioner cannot say the word, or it is already in the caption.
        """
        self._model, self._word = subject.model, word
        self._sought = subject.model.wording.tokens_of(word)
        if spans_of(subject, word):
            raise ValueError(f"the caption already contains {word!r}")

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        wording = self._model.wording
        tokens = self._model.search(grid[None]).tokens[0]
        words, current = wording.strip(tokens), strip_padding(tokens)
        reached = self._word in wording.texts(words)
        first, known = self._longest_beginning(current.tolist())
        raised = self._sought[known]
        if known:
            current = current[: first + 1]
        nothing = np.full(len(current), PAD, np.int32)
        return Evaluation(reached, words, AttackObjective(current, nothing, raised, first))

    def _longest_beginning(self, tokens: list[int]) -> tuple[int, int]:
        """Find the longest proper beginning of the word's tokens in a caption.

        Returns:
            The place after it, which has a token; and its length. 0 and 0 if there is none.
        """
        for known in range(len(self._sought) - 1, 0, -1):
            for place in range(known, len(tokens)):
                if tuple(tokens[place - known : place]) == self._sought[:known]:
                    return place, known
        return 0, 0


class DropWord(Goal):
    """Make the caption no longer contain a word, in any place."""

    def __init__(self, subject: CaptionedImage, word: str) -> None:
        """Attack a word of a subject's caption.

        Raises:
            ValueError: If the captioner cannot say the word, or it is not in the caption.
        """
        self._model, self._word = subject.model, word
        subject.model.wording.tokens_of(word)
        if not spans_of(subject, word):
            raise ValueError(f"the caption does not contain {word!r}, so it cannot be removed")
        self._subject = subject

    def evaluate(self, grid: Grid) -> Evaluation:  # noqa: D102
        wording = self._model.wording
        tokens = self._model.search(grid[None]).tokens[0]
        words = wording.strip(tokens)
        present = self._word in wording.texts(words)
        teacher = strip_padding(tokens).tolist() if present else self._subject.tokens
        spans = [span for span in wording.words(teacher) if span.text == self._word]
        places = [place for span in spans for place in range(span.start, span.stop)]
        return Evaluation(not present, words, lowering_objective(teacher, places))


def spans_of(subject: CaptionedImage, word: str) -> list[WordSpan]:
    """Return every occurrence of a word in a subject's caption."""
    return [span for span in subject.spans if span.text == word]


def lowering_objective(tokens: Sequence[int], places: Sequence[int]) -> AttackObjective:
    """Build the objective that lowers the likelihood of a caption's tokens at some places."""
    caption = np.array(tokens, np.int32)
    lowered = np.full_like(caption, PAD)
    lowered[list(places)] = caption[list(places)]
    return AttackObjective(caption, lowered)


def token_margin(tokens: Sequence[int], place: int, rival: int) -> Margin:
    """Compare a caption's token with another one in its place, after the same tokens."""
    own, other = [*tokens[: place + 1]], [*tokens[:place], rival]
    return Margin(lowering_objective(own, [place]), lowering_objective(other, [place]))


def strip_padding(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Remove the padding from a caption [T]."""
    return np.asarray(tokens[tokens != PAD], np.int32)
