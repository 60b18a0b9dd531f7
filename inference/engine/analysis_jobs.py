"""Adversarial and concept analyses as jobs of the worker."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings, AdversarialParams
from inference.adversarial.analysis import analyse as analyse_robustness
from inference.captioning.model import CaptionModel
from inference.concepts import ConceptFindings
from inference.concepts.analysis import analyse as analyse_concepts
from inference.engine.jobs import JobResult, JobWork
from inference.engine.service import AnalysisKind, AnalysisParams, read_params
from inference.progress import Progress, map_progress
from inference.report import analysis_files, summarize
from inference.report.contents import explain_words


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
    chosen = read_params(kind, params)
    share = _share_of_checks(chosen)
    findings = yield from map_progress(
        _analyse(model, image, tokens, chosen, frames),
        lambda at: Progress((1 - share) * at.done, at.doing),
    )
    contents = yield from map_progress(
        explain_words(model, image, tokens, checked=share > 0),
        lambda done: Progress(1 - share + share * done, "Checking the word maps"),
    )
    adversarial = findings if isinstance(findings, AdversarialFindings) else None
    concepts = findings if isinstance(findings, ConceptFindings) else None
    files = yield from analysis_files(contents, adversarial, concepts)
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


def _share_of_checks(params: AnalysisParams) -> float:
    """Return the share of the time that checks of the word maps take, as measured.

    0 if they are left out: they would take longer than an analysis with the bank's concepts.
    """
    if isinstance(params, AdversarialParams):
        return 0.3
    return 0.0 if params.scope == "bank" else 0.05
