"""In what concepts a captioner thinks of a picture when it gives it its caption."""

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts.factors import factorise
from inference.concepts.findings import ConceptFindings, ConceptParams, Factors
from inference.concepts.word_concepts import asked, from_bank, from_frames
from inference.explanations.subject import Subject
from inference.progress import Step, retold

Work = Generator[Step, None, ConceptFindings]


_Result = TypeVar("_Result")


_SHARES = {"bank": 0.3, "frames": 0.97}
"""Of the time that the concepts take; the rest goes into the grid's own parts."""


def analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    params: ConceptParams,
    frames: Sequence[NDArray[np.uint8]] = (),
) -> Work:
    """Find the concepts that the words of a caption lean on in a picture.

    Args:
        model: The captioner.
        image: RGB, uint8 [H, W, 3] of any size.
        tokens: The caption's, as `Anchor.tokens`.
        params: The choices.
        frames: Of the scope "frames", in which concepts are sought, beside the picture itself:
            uint8 [S, S, 3] each, S the captioner's own, in the order in which they were seen.

    Yields:
        How far it is, about every 60 ms.

    Raises:
        ValueError: If the image cannot be captioned, the tokens are no caption, or it does not say
            the word that is asked for.
    """
    work = _analysis(Subject(model, image, tokens), params, frames)
    took = 0.0
    try:
        while True:
            begun = time.perf_counter()
            try:
                step = next(work)
            except StopIteration as end:
                findings: ConceptFindings = end.value
                return replace(findings, took_s=took + time.perf_counter() - begun)
            took += time.perf_counter() - begun
            yield step
    finally:
        work.close()


def _analysis(subject: Subject, params: ConceptParams, frames: Sequence[NDArray[np.uint8]]) -> Work:
    words = asked(subject, params.word)
    share = _SHARES[params.scope]
    if params.scope == "bank":
        seeking = from_bank(subject, words, params)
    else:
        seeking = from_frames(subject, words, params, frames)
    sought = yield from _within(0.0, share, seeking)
    notes = sought.notes
    factors = None
    try:
        factors = yield from _within(share, 1 - share, _factors(subject, params))
    except ValueError as problem:
        notes += (str(problem),)
    return ConceptFindings(
        scope=params.scope,
        frames=sought.frames,
        scenes=sought.scenes,
        words=sought.words,
        factors=factors,
        took_s=0.0,
        notes=notes,
        pictures=sought.pictures,
    )


def _factors(subject: Subject, params: ConceptParams) -> Generator[Step, None, Factors]:
    others = [each for each in subject.model.recent.all() if each is not subject.grid]
    work = factorise(subject, others, params.rank, params.seed)
    return (yield from retold(work, lambda done: Step(done, "Taking what the encoder saw apart")))


def _within(
    begun: float, share: float, work: Generator[Step, None, _Result]
) -> Generator[Step, None, _Result]:
    """Do a part of the work, which takes so much of it all."""
    return retold(work, lambda step: Step(begun + share * step.done, step.doing))
