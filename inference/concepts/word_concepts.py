"""Concepts of a caption's words in one image: from the bank, or discovered in a stream's frames."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import Ability
from inference.concepts.bank import (
    Array,
    BankConcept,
    BankError,
    ConceptScores,
    measure_background,
    read_bank,
    score,
)
from inference.concepts.discovery import Discovery, DiscoveryParams, discover
from inference.concepts.findings import (
    ConceptInFrame,
    ConceptParams,
    Evidence,
    FalsePositives,
    WordConcepts,
)
from inference.concepts.patches import MemoryCache
from inference.explanations import Map, Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.score import CaptionScore
from inference.progress import Progress
from inference.webp import encode_webp
from models.word_kinds import word_kind

_CROP_SIDE, _COLUMNS, _ROWS = 80, 3, 2
"""Layout of the contact sheet that shows a concept's most typical segments."""


@dataclass(frozen=True, slots=True)
class CaptionWord:
    """A word of the caption whose concepts are wanted."""

    text: str
    index: int
    """Position in the caption."""

    def without_concepts(self, reason: str) -> WordConcepts:
        """Return findings without concepts."""
        return WordConcepts(self.text, self.index, (), reason)


@dataclass(frozen=True, slots=True)
class KnownConcept:
    """A concept with the properties that do not depend on the image."""

    id: str
    evidence: Evidence
    picture: str
    """See `ConceptInFrame.picture`."""


@dataclass(frozen=True, slots=True, eq=False)
class ConceptResults:
    """Concepts of all words; the fields are those of `ConceptFindings`."""

    words: tuple[WordConcepts, ...]
    frames: int = 0
    scenes: int = 0
    false_positives: FalsePositives | None = None
    notes: tuple[str, ...] = ()
    pictures: dict[str, bytes] = field(default_factory=dict)


def select_words(subject: CaptionedImage, word: str) -> list[CaptionWord]:
    """Select the words of the caption to analyse.

    Args:
        subject: The image and its caption.
        word: The only word to select; empty for all content words.

    Raises:
        ValueError: If the caption does not contain the word.
    """
    caption = [CaptionWord(span.text, index) for index, span in enumerate(subject.spans)]
    if not word:
        return [each for each in caption if word_kind(each.text) != "function"]
    chosen = [each for each in caption if each.text == word]
    if not chosen:
        raise ValueError(f"the caption does not contain {word!r}")
    return chosen


def concepts_from_bank(
    subject: CaptionedImage, words: Sequence[CaptionWord], params: ConceptParams
) -> Generator[Progress, None, ConceptResults]:
    """Score the bank's concepts of words in an image.

    Yields:
        Progress, after every word.
    """
    yield Progress(0.0, "Reading the concept bank")
    if not subject.model.can(Ability.CONCEPT_BANK):
        reason = "this captioner has no concept bank; discover concepts in frames instead"
        return ConceptResults(
            tuple(word.without_concepts(reason) for word in words), notes=(reason,)
        )
    try:
        bank = read_bank(subject.model.folder)
    except BankError as problem:
        reason = str(problem)
        missing = tuple(word.without_concepts(reason) for word in words)
        return ConceptResults(missing, notes=(reason,))
    indices = bank.indices([word.text for word in words])
    scores = None
    if indices:
        gradients = []
        for number, word in enumerate(words):
            yield Progress(number / len(words), f"Scoring concepts of “{word.text}”")
            gradients.append(_logit_gradient(subject, word))
        scores = score(subject.cells, np.stack(gradients), bank.directions(indices))
    found = []
    pictures: dict[str, bytes] = {}
    for number, word in enumerate(words):
        own = [index for index in indices if bank.concepts[index].word == word.text]
        if scores is None or not own:
            found.append(word.without_concepts(bank.missing_reason(word.text)))
            continue
        known = [_known_concept(bank.concepts[index]) for index in own]
        columns = [indices.index(index) for index in own]
        part = ConceptScores(
            scores.cells[columns], scores.presence[columns], scores.support[:, columns]
        )
        concepts = rank_concepts(known, part, part.support[number], params.concepts)
        found.append(WordConcepts(word.text, word.index, concepts, ""))
        shown = {concept.picture for concept in concepts}
        pictures |= {
            bank.concepts[index].id: bank.concepts[index].picture
            for index in own
            if bank.concepts[index].id in shown
        }
    # Each training image is a scene of its own.
    images = bank.metadata.images
    return ConceptResults(
        words=tuple(found),
        frames=images,
        scenes=images,
        false_positives=bank.false_positives(),
        pictures=pictures,
    )


def concepts_from_frames(
    subject: CaptionedImage,
    words: Sequence[CaptionWord],
    params: ConceptParams,
    frames: Sequence[NDArray[np.uint8]],
) -> Generator[Progress, None, ConceptResults]:
    """Discover the concepts of one word in frames and the image, and score them in the image.

    The word is the first object word, or the first word if there is none: discovery takes a minute
    or more for each.

    Yields:
        Progress.
    """
    if not words:
        return ConceptResults((), notes=("the caption has no content words",))
    chosen = next((each for each in words if word_kind(each.text) == "object"), words[0])
    discovery = yield from discover(
        subject.model,
        [*frames, subject.pixels],
        chosen.text,
        DiscoveryParams(seed=params.seed),
        video=True,
        cache=MemoryCache(),
    )
    return ConceptResults(
        words=tuple(
            _discovered_concepts(subject, each, discovery, params)
            if each.text == chosen.text
            else each.without_concepts(
                f"only “{chosen.text}” was analysed; choose “{each.text}” to analyse it"
            )
            for each in sorted(words, key=lambda word: word.index)
        ),
        frames=discovery.searched,
        scenes=discovery.scenes,
        false_positives=discovery.false_positives,
        notes=discovery.notes,
        pictures={each.id: encode_webp(contact_sheet(each.crops)) for each in discovery.concepts},
    )


def rank_concepts(
    known: Sequence[KnownConcept], scores: ConceptScores, support: Array, limit: int
) -> tuple[ConceptInFrame, ...]:
    """Describe the concepts of one word in the image, those with the highest support first.

    Args:
        known: The concepts.
        scores: Of these concepts.
        support: For this word, [K].
        limit: Maximum number of concepts.
    """
    order = np.argsort(-support, kind="stable")[:limit]
    return tuple(
        ConceptInFrame(
            id=known[index].id,
            presence=float(scores.presence[index]),
            support=float(support[index]),
            map=Map(np.maximum(scores.cells[index], 0).astype(np.float32)),
            evidence=known[index].evidence,
            picture=known[index].picture,
        )
        for index in order
    )


def contact_sheet(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Arrange the first segments in a grid: RGB [h, w, 3]."""
    shown = [
        cv2.resize(each, (_CROP_SIDE, _CROP_SIDE), interpolation=cv2.INTER_AREA)
        for each in crops[: _COLUMNS * _ROWS]
    ]
    blank = np.full((_CROP_SIDE, _CROP_SIDE, 3), 255, np.uint8)
    rows = -(-len(shown) // _COLUMNS)
    shown += [blank] * (rows * _COLUMNS - len(shown))
    return np.vstack(
        [np.hstack(shown[start : start + _COLUMNS]) for start in range(0, len(shown), _COLUMNS)]
    )


def _logit_gradient(subject: CaptionedImage, word: CaptionWord) -> Array:
    """Differentiate the logit of a word to the image's cells, [rows, columns, C]."""
    return CaptionScore(subject, Target("word", word.index)).cell_gradient()


def _known_concept(concept: BankConcept) -> KnownConcept:
    return KnownConcept(concept.id, concept.evidence, concept.id if concept.picture else "")


def _discovered_concepts(
    subject: CaptionedImage, word: CaptionWord, discovery: Discovery, params: ConceptParams
) -> WordConcepts:
    concepts = discovery.concepts
    if not concepts:
        return word.without_concepts(
            f"no concept was found for “{word.text}” in {discovery.searched} frames"
        )
    vectors = np.stack([each.direction for each in concepts])
    cells = subject.model.cells(np.stack([each.grid for each in discovery.captioned]))
    gradients = _logit_gradient(subject, word)[None]
    scores = score(subject.cells, gradients, measure_background(vectors, cells))
    known = [KnownConcept(each.id, each.evidence, each.id) for each in concepts]
    shown = rank_concepts(known, scores, scores.support[0], params.concepts)
    return WordConcepts(word.text, word.index, shown, "")
