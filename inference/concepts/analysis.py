"""The concept analysis of one image: concepts of its words, and components of its grid."""

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts.factors import factorise
from inference.concepts.findings import ConceptFindings, ConceptParams, Factors
from inference.concepts.word_concepts import concepts_from_bank, concepts_from_frames, select_words
from inference.explanations.captioned_image import CaptionedImage
from inference.progress import Progress, map_progress

Work = Generator[Progress, None, ConceptFindings]

_Result = TypeVar("_Result")

_CONCEPTS_SHARE = {"bank": 0.3, "frames": 0.97}
"""Share of the time for the words' concepts, by scope; the factorisation takes the rest."""


def analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    params: ConceptParams,
    frames: Sequence[NDArray[np.uint8]] = (),
) -> Work:
    """Find the concepts that the words of a caption depend on in an image.

    Args:
        model: The captioner.
        image: RGB, uint8 [H, W, 3] of any size.
        tokens: The caption's, as `StreamState.tokens`.
        params: The parameters.
        frames: For the scope `frames`: frames to search for concepts, in addition to the image,
            uint8 [S, S, 3] each in order of time, S the captioner's image size.

    Yields:
        Progress, about every 60 ms.

    Raises:
        ValueError: If the captioner has no gradients, the image cannot be captioned, the tokens are
            no caption, or the caption does not contain the given word.
    """
    if "ace" not in model.analyses:
        raise ValueError("this captioner's concepts cannot be analysed: it has no gradients")
    work = _analysis(CaptionedImage(model, image, tokens), params, frames)
    took_s = 0.0
    try:
        while True:
            begun = time.perf_counter()
            try:
                step = next(work)
            except StopIteration as end:
                findings: ConceptFindings = end.value
                return replace(findings, took_s=took_s + time.perf_counter() - begun)
            took_s += time.perf_counter() - begun
            yield step
    finally:
        work.close()


def _analysis(
    subject: CaptionedImage, params: ConceptParams, frames: Sequence[NDArray[np.uint8]]
) -> Work:
    words = select_words(subject, params.word)
    share = _CONCEPTS_SHARE[params.scope]
    if params.scope == "bank":
        searching = concepts_from_bank(subject, words, params)
    else:
        searching = concepts_from_frames(subject, words, params, frames)
    results = yield from _scaled(0.0, share, searching)
    factors = yield from _scaled(share, 1 - share, _factorise(subject, params))
    return ConceptFindings(
        scope=params.scope,
        frames=results.frames,
        scenes=results.scenes,
        words=results.words,
        factors=factors,
        took_s=0.0,
        false_positives=results.false_positives,
        notes=results.notes,
        pictures=results.pictures,
    )


def _factorise(
    subject: CaptionedImage, params: ConceptParams
) -> Generator[Progress, None, Factors]:
    others = [each for each in subject.model.grid_cache.values() if each is not subject.grid]
    work = factorise(subject, others, params.rank, params.seed)
    return (
        yield from map_progress(work, lambda done: Progress(done, "Factorising the feature grid"))
    )


def _scaled(
    start: float, share: float, work: Generator[Progress, None, _Result]
) -> Generator[Progress, None, _Result]:
    """Map the progress of a part of the work to `start`..`start + share`."""
    return map_progress(work, lambda step: Progress(start + share * step.done, step.doing))
