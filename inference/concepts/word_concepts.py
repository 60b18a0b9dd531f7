"""What was found for the words of a caption, wherever the concepts are from.

The concepts of a caption's words, from the bank of the captioner.

The concepts of a word of a caption, discovered in the frames that its stream has kept.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.concepts.bank import (
    Array,
    Bank,
    BankError,
    Scores,
    background,
    decoded_picture,
    read_bank,
    score,
)
from inference.concepts.discovery import Concept, Discovery, DiscoveryParams, discover
from inference.concepts.findings import ConceptInFrame, ConceptParams, Evidence, WordConcepts
from inference.concepts.patches import MemoryCache
from inference.concepts.tcav import Cavs, Tested, verdicts
from inference.explanations import Map, Target
from inference.explanations.score import CaptionScore
from inference.explanations.subject import Subject
from inference.progress import Step
from inference.word_kinds import word_kind

_PATCH_SIDE, _COLUMNS, _ROWS = 80, 3, 2
"""Of the picture that shows a concept: its most typical segments."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A word of the caption whose concepts are sought."""

    text: str
    index: int
    """Its place in the caption."""

    def without(self, why: str) -> WordConcepts:
        """Say why it has none."""
        return WordConcepts(self.text, self.index, (), why)


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """What was found; as `ConceptFindings` has it."""

    words: tuple[WordConcepts, ...]
    frames: int = 0
    scenes: int = 0
    notes: tuple[str, ...] = ()
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def asked(subject: Subject, word: str) -> list[Asked]:
    """Choose the words whose concepts are sought.

    Args:
        subject: The picture and its caption.
        word: That word alone; empty for all that carry meaning.

    Raises:
        ValueError: If the caption does not say the word.
    """
    names = subject.model.captioner.vocabulary.words
    said = [Asked(names[token], index) for index, token in enumerate(subject.words)]
    if not word:
        return [each for each in said if word_kind(each.text) != "function"]
    chosen = [each for each in said if each.text == word]
    if not chosen:
        raise ValueError(f"the caption does not say {word!r}")
    return chosen


def gradient(subject: Subject, word: Asked) -> Array:
    """Differentiate the logit of a word to the picture's grid, [rows, columns, C]."""
    target = Target("word", word.index)
    return CaptionScore(subject, target).gradient(subject.grid)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a concept whatever the picture."""

    id: str
    evidence: Evidence
    picture: str
    """As `ConceptInFrame` has it."""


def in_frame(
    known: Sequence[Known], scores: Scores, support: Array, most: int
) -> tuple[ConceptInFrame, ...]:
    """Describe the concepts of one word in the picture.

    Args:
        known: The concepts.
        scores: Of these concepts.
        support: For this word, [K].
        most: How many, those that add most first.
    """
    order = np.argsort(-support, kind="stable")[:most]
    return tuple(
        ConceptInFrame(
            id=known[place].id,
            presence=float(scores.presence[place]),
            support=float(support[place]),
            map=Map(np.maximum(scores.cells[place], 0).astype(np.float32)),
            evidence=known[place].evidence,
            picture=known[place].picture,
        )
        for place in order
    )


def from_bank(
    subject: Subject, words: Sequence[Asked], params: ConceptParams
) -> Generator[Step, None, Sought]:
    """Hold a picture against the concepts of words.

    Yields:
        How far it is, after every word.
    """
    yield Step(0.0, "Opening the concept bank")
    try:
        bank = read_bank(subject.model.folder)
    except BankError as problem:
        why = str(problem)
        return Sought(tuple(word.without(why) for word in words), notes=(why,))
    places = bank.of([word.text for word in words])
    scored = None
    if places:
        gradients = []
        for number, word in enumerate(words):
            yield Step(number / len(words), f"Looking for what spoke for “{word.text}”")
            gradients.append(gradient(subject, word))
        scored = score(subject.grid, np.stack(gradients), bank.directions(places))
    evidence = evidence_of(bank)
    found = []
    pictures: dict[str, NDArray[np.uint8]] = {}
    for number, word in enumerate(words):
        own = [place for place in places if bank.concepts[place].word == word.text]
        if scored is None or not own:
            found.append(word.without(bank.why_none(word.text)))
            continue
        described = _of_word(bank, own, evidence)
        columns = [places.index(place) for place in own]
        part = Scores(scored.cells[columns], scored.presence[columns], scored.support[:, columns])
        concepts = in_frame(described, part, part.support[number], params.concepts)
        found.append(WordConcepts(word.text, word.index, concepts, ""))
        shown = {concept.picture for concept in concepts}
        pictures |= {
            bank.concepts[place].id: decoded_picture(bank.concepts[place].picture)
            for place in own
            if bank.concepts[place].id in shown
        }
    captioned = bank.about.captioned
    return Sought(tuple(found), frames=captioned, scenes=captioned, pictures=pictures)


def evidence_of(bank: Bank) -> list[Evidence]:
    """Judge all concepts of a bank, corrected for all tests that were made for it."""
    kept = [
        Tested(
            cavs=Cavs(each.direction[None], each.accuracy),
            tcav=each.tcav,
            tcav_random=each.tcav_random,
            p=each.p,
            scenes=each.scenes,
        )
        for each in bank.concepts
    ]
    fitted = bank.about.fitted.values()
    others = [replace(kept[0], p=p) for word in fitted for p in word.others] if kept else []
    return verdicts([*kept, *others])[: len(kept)]


def _of_word(bank: Bank, places: Sequence[int], evidence: Sequence[Evidence]) -> list[Known]:
    chosen = [(bank.concepts[place], evidence[place]) for place in places]
    return [Known(each.id, proof, each.id if each.picture else "") for each, proof in chosen]


def from_frames(
    subject: Subject,
    words: Sequence[Asked],
    params: ConceptParams,
    frames: Sequence[NDArray[np.uint8]],
) -> Generator[Step, None, Sought]:
    """Discover the concepts of one word in frames and the picture, and hold the picture to them.

    It is the first word for a thing, or the first if there is none: each takes a minute or more.

    Yields:
        How far it is.
    """
    if not words:
        return Sought((), notes=("the caption has no word that carries meaning",))
    chosen = next((each for each in words if word_kind(each.text) == "object"), words[0])
    discovery = yield from discover(
        subject.model,
        [*frames, subject.pixels],
        chosen.text,
        DiscoveryParams(seed=params.seed),
        video=True,
        cache=MemoryCache(),
    )
    others = tuple(
        each.without(f"concepts were sought for `{chosen.text}` alone: ask for `{each.text}`")
        for each in words
        if each.text != chosen.text
    )
    own = [each for each in words if each.text == chosen.text]
    return Sought(
        words=tuple(
            sorted(
                (*(_held(subject, each, discovery, params) for each in own), *others),
                key=lambda word: word.index,
            )
        ),
        frames=discovery.sought,
        scenes=discovery.scenes,
        notes=discovery.notes,
        pictures={each.id: sheet(each.crops) for each in discovery.concepts},
    )


def sheet(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Lay segments out side by side, as many as there is room for: RGB [h, w, 3]."""
    shown = [
        cv2.resize(each, (_PATCH_SIDE, _PATCH_SIDE), interpolation=cv2.INTER_AREA)
        for each in crops[: _COLUMNS * _ROWS]
    ]
    blank = np.full((_PATCH_SIDE, _PATCH_SIDE, 3), 255, np.uint8)
    rows = -(-len(shown) // _COLUMNS)
    shown += [blank] * (rows * _COLUMNS - len(shown))
    return np.vstack(
        [np.hstack(shown[start : start + _COLUMNS]) for start in range(0, len(shown), _COLUMNS)]
    )


def _held(
    subject: Subject, word: Asked, discovery: Discovery, params: ConceptParams
) -> WordConcepts:
    concepts: Sequence[Concept] = discovery.concepts
    if not concepts:
        return word.without(
            f"no part of the picture that `{word.text}` could lean on was found in "
            f"{discovery.sought} frames"
        )
    vectors = np.stack([each.direction for each in concepts])
    grids = np.stack([each.grid for each in discovery.captioned])
    scores = score(subject.grid, gradient(subject, word)[None], background(vectors, grids))
    known = [Known(each.id, each.evidence, each.id) for each in concepts]
    shown = in_frame(known, scores, scores.support[0], params.concepts)
    return WordConcepts(word.text, word.index, shown, "")
