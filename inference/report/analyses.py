"""The long analyses of a picture that a report may hold."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings
from inference.captioning.model import CaptionModel
from inference.concepts import ConceptFindings
from inference.progress import ProgressPrinter, followed

ANALYSES: Final = ("adversarial", "ace")
"""By name: how easily the captioner is fooled, and in what concepts it thinks."""


@dataclass(frozen=True, slots=True)
class Analyses:
    """What they found; None of those that were not made."""

    adversarial: AdversarialFindings | None = None
    concepts: ConceptFindings | None = None


def analyse_picture(
    model: CaptionModel,
    picture: NDArray[np.uint8],
    tokens: tuple[int, ...],
    names: tuple[str, ...],
    progress: ProgressPrinter,
) -> Analyses:
    """Analyse a caption, as a page asks for it if it chooses nothing.

    Args:
        model: The captioner that said it.
        picture: RGB, uint8 [H, W, 3].
        tokens: The caption's, with a word at least.
        names: Of `ANALYSES`.
        progress: Told of each part, and how far it is.
    """
    adversarial = concepts = None
    # Not above: what they compute with takes seconds to load.
    if "adversarial" in names:
        from inference.adversarial import AdversarialParams
        from inference.adversarial.analysis import analyse as attack

        progress.begin("how easily it is fooled")
        work = attack(model, picture, tokens, AdversarialParams())
        adversarial = followed(work, progress)
    if "ace" in names:
        from inference.concepts import ConceptParams
        from inference.concepts.analysis import analyse as find_concepts

        progress.begin("in what concepts it thinks")
        concepts = followed(find_concepts(model, picture, tokens, ConceptParams()), progress)
    return Analyses(adversarial, concepts)
