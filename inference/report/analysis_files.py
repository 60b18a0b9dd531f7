"""The files that an analysis leaves: a page for people, and all figures for programs."""

import json
from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings
from inference.captioning import Caption
from inference.concepts import ConceptFindings
from inference.progress import Step
from inference.report.document import Captioner, Document
from inference.report.page import page

HTML, JSON = "report.html", "report.json"


def analysis_files(
    captioner: Captioner,
    picture: NDArray[np.uint8],
    caption: Caption,
    adversarial: AdversarialFindings | None,
    concepts: ConceptFindings | None,
) -> Generator[Step, None, dict[str, bytes]]:
    """Write the report on the analyses of a caption. Needs no TensorFlow.

    Args:
        captioner: Its card.
        picture: That was captioned, RGB, uint8 [H, W, 3] of any size.
        caption: What is said of it.
        adversarial: Of that picture and caption; None if there is no such analysis.
        concepts: Likewise.

    Yields:
        That all but the writing is done (1.0), before each slice of it.

    Returns:
        `report.html`, one file that needs no other, and `report.json`, see `Document.to_json`;
        both in UTF-8.
    """
    document = Document("", picture, captioner, caption, adversarial, concepts)
    pieces = []
    for piece in page(document):
        pieces.append(piece)
        yield Step(1.0, "Writing the report")
    values = json.dumps(document.to_json(), indent=1) + "\n"
    return {HTML: "".join(pieces).encode(), JSON: values.encode()}
