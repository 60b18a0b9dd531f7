"""Caption metrics as the COCO caption evaluation computes them.

BLEU (Papineni et al., ACL 2002), ROUGE-L (Lin, 2004) and CIDEr-D (Vedantam et al., CVPR 2015) by
`pycocoevalcap`, on lower-cased word tokens: its own tokenizer would need a Java machine.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Scores:
    """Corpus scores; all in 0..1 but CIDEr, which is in 0..10."""

    bleu_1: float
    bleu_2: float
    bleu_3: float
    bleu_4: float
    rouge_l: float
    cider: float


def score(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> Scores:
    """Compare one caption an image with what people wrote of it.

    Args:
        captions: The caption of each image, by the image's name.
        references: The reference captions of each image, for the same names.

    Raises:
        ValueError: If the names differ, or there is none.
    """
    if not captions or captions.keys() != references.keys():
        raise ValueError("captions and references must be of the same images, one at least")
    said = {name: [_normalize(caption)] for name, caption in captions.items()}
    wanted = {name: [_normalize(text) for text in texts] for name, texts in references.items()}
    bleu, _ = Bleu(4).compute_score(wanted, said, verbose=0)
    rouge, _ = Rouge().compute_score(wanted, said)
    cider, _ = Cider().compute_score(wanted, said)
    return Scores(*(float(value) for value in (*bleu, rouge, cider)))


def cider_by_image(
    captions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Score each image's caption by CIDEr-D, the document frequencies those of all references.

    Args:
        captions: The caption of each image, by the image's name.
        references: The reference captions of each image, for the same names.
    """
    names = list(captions)
    _, scores = Cider().compute_score(
        {name: [_normalize(text) for text in references[name]] for name in names},
        {name: [_normalize(captions[name])] for name in names},
    )
    return dict(zip(names, map(float, scores), strict=True))


def _normalize(caption: str) -> str:
    return " ".join(_WORD.findall(caption.lower()))
