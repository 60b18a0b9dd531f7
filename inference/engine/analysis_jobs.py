"""The long analyses as jobs of the engine's process."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings, AdversarialParams
from inference.adversarial.analysis import analyse as attack
from inference.captioning import Caption, Timing
from inference.captioning.model import CaptionModel
from inference.concepts import ConceptFindings
from inference.concepts.analysis import analyse as find_concepts
from inference.engine.jobs import Finished, JobWork
from inference.engine.service import AnalysisKind, Params, read_params
from inference.explanations.subject import Subject
from inference.progress import Step
from inference.report.analysis_files import analysis_files
from inference.report.summary import summary


def analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    kind: AnalysisKind,
    params: Mapping[str, Any],
    frames: Sequence[NDArray[np.uint8]],
) -> JobWork:
    """Analyse a caption and write the report: the answer `analysed`, its files one after another.

    Args:
        model: The captioner that said it.
        image: RGB, uint8 [H, W, 3] of any size.
        tokens: The caption's, as `Anchor.tokens`.
        kind: Of the analysis.
        params: What is asked, as `read_params` takes it.
        frames: Of the same stream, RGB, each uint8 [S, S, 3] of the captioner's own size: where
            concepts are sought, if that is asked.

    Raises:
        ValueError: If that cannot be analysed.
    """
    findings = yield from _find(model, image, tokens, read_params(kind, params), frames)
    adversarial = findings if isinstance(findings, AdversarialFindings) else None
    concepts = findings if isinstance(findings, ConceptFindings) else None
    said = _caption(model, image, tokens)
    files = yield from analysis_files(model.card, image, said, adversarial, concepts)
    message = {
        "type": "analysed",
        "files": {name: len(content) for name, content in files.items()},
        "summary": summary(findings),
    }
    return Finished(message, b"".join(files.values()))


def _find(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    params: Params,
    frames: Sequence[NDArray[np.uint8]],
) -> Generator[Step, None, AdversarialFindings | ConceptFindings]:
    if isinstance(params, AdversarialParams):
        return (yield from attack(model, image, tokens, params))
    return (yield from find_concepts(model, image, tokens, params, frames))


def _caption(model: CaptionModel, image: NDArray[np.uint8], tokens: tuple[int, ...]) -> Caption:
    """What those tokens say of the picture."""
    subject = Subject(model, image, tokens)
    return model.read(subject.told, subject.grid, Timing(0.0, 0.0, 0.0))
