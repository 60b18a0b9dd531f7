"""The concepts of a word of a caption, discovered in the frames that its stream has kept."""

from collections.abc import Generator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.concepts.discovery import Concept, Discovery, DiscoveryParams, discover
from inference.concepts.findings import WordConcepts
from inference.concepts.params import ConceptParams
from inference.concepts.patch_cache import MemoryCache
from inference.concepts.scoring import background, score
from inference.concepts.sought import Asked, Known, Sought, gradient, in_frame
from inference.explanations.subject import Subject
from inference.faithfulness.word_kinds import word_kind
from inference.step import Step

_PATCH_SIDE, _COLUMNS, _ROWS = 80, 3, 2
"""Of the picture that shows a concept: its most typical segments."""


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
