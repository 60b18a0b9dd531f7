"""Adversarial and concept analyses as jobs of the worker."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings, AdversarialParams
from inference.adversarial.analysis import analyse as analyse_robustness
from inference.captioning import Caption, Timing
from inference.captioning.model import CaptionModel
from inference.concepts import ConceptFindings
from inference.concepts.analysis import analyse as analyse_concepts
from inference.engine.jobs import JobResult, JobWork
from inference.engine.service import AnalysisKind, AnalysisParams, read_params
from inference.explanations.captioned_image import CaptionedImage
from inference.progress import Progress
from inference.report import analysis_files, summarize


def analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    kind: AnalysisKind,
    params: Mapping[str, Any],
    frames: Sequence[NDArray[np.uint8]],
) -> JobWork:
    """Analyse a caption and write the report, for the message `analysed`.

    The payload of the message is the report's files, one after another.

    Args:
        model: The captioner that produced the caption.
        image: RGB, uint8 [H, W, 3] of any size.
        tokens: The caption's, see `StreamState.tokens`.
        kind: Of the analysis.
        params: As `read_params` takes them.
        frames: Frames of the same stream, RGB, uint8 [S, S, 3] of the captioner's own size, in
            which concepts are discovered if the parameters ask for it.

    Raises:
        ValueError: If this cannot be analysed.
    """
    findings = yield from _analyse(model, image, tokens, read_params(kind, params), frames)
    adversarial = findings if isinstance(findings, AdversarialFindings) else None
    concepts = findings if isinstance(findings, ConceptFindings) else None
    caption = _caption(model, image, tokens)
    files = yield from analysis_files(model.card, image, caption, adversarial, concepts)
    message = {
        "type": "analysed",
        "files": {name: len(content) for name, content in files.items()},
        "summary": summarize(findings),
    }
    return JobResult(message, b"".join(files.values()))


def _analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    params: AnalysisParams,
    frames: Sequence[NDArray[np.uint8]],
) -> Generator[Progress, None, AdversarialFindings | ConceptFindings]:
    if isinstance(params, AdversarialParams):
        return (yield from analyse_robustness(model, image, tokens, params))
    return (yield from analyse_concepts(model, image, tokens, params, frames))


def _caption(model: CaptionModel, image: NDArray[np.uint8], tokens: tuple[int, ...]) -> Caption:
    subject = CaptionedImage(model, image, tokens)
    return model.build_caption(subject.rescored, subject.grid, Timing(0.0, 0.0, 0.0))
