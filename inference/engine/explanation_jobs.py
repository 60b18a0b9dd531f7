"""Explanations and checks as jobs of the worker."""

import numpy as np
from numpy.typing import NDArray

from inference.engine.jobs import JobResult, JobWork
from inference.explanations import Target
from inference.explanations.explainer import Explainer, as_progress
from inference.progress import map_progress


def explain(
    explainer: Explainer,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    method: str,
    target: Target,
) -> JobWork:
    """Compute a map, for the message `explained`; see `Explainer.explain`."""
    work = explainer.explain(image, tokens, method, target)
    result = yield from map_progress(work, as_progress)
    return JobResult({"type": "explained", "map": result.to_json()})


def check(
    explainer: Explainer,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    method: str,
    index: int,
) -> JobWork:
    """Check a word's map, for the message `checked`; see `Explainer.check`."""
    result = yield from explainer.check(image, tokens, method, index)
    return JobResult({"type": "checked", "check": result.to_json()})
