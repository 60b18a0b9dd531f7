"""Caption metrics of the COCO evaluation, and generation of the captions to score.

BLEU (Papineni et al., ACL 2002), ROUGE-L (Lin, 2004) and CIDEr-D (Vedantam et al., CVPR 2015) by
`pycocoevalcap`, on lower-case word tokens: its own tokenizer would need Java.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from tqdm import tqdm

from models.captioner import BeamConfig, Captioner
from models.consensus import Consensus
from models.consensus.search import CaptionSearch
from models.datasets import Dataset, Example
from models.language import sentence
from models.preprocessing import resize_to_square

_BATCH = 50

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Scores:
    """Corpus scores, all in 0..1 except CIDEr, which is in 0..10."""

    bleu_1: float
    bleu_2: float
    bleu_3: float
    bleu_4: float
    rouge_l: float
    cider: float


def score(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> Scores:
    """Score one caption an image against its reference captions.

    Args:
        captions: The caption of each image, by image name.
        references: The reference captions of each image, for the same names.

    Raises:
        ValueError: If the names differ, or there are none.
    """
    if not captions or captions.keys() != references.keys():
        raise ValueError("captions and references must have the same image names, at least one")
    candidates = {name: [_normalize(caption)] for name, caption in captions.items()}
    normalized = {name: [_normalize(text) for text in texts] for name, texts in references.items()}
    bleu, _ = Bleu(4).compute_score(normalized, candidates, verbose=0)
    rouge, _ = Rouge().compute_score(normalized, candidates)
    cider, _ = Cider().compute_score(normalized, candidates)
    return Scores(*(float(value) for value in (*bleu, rouge, cider)))


def cider_by_image(
    captions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Score each image's caption by CIDEr-D, with the document frequencies of all references.

    Args:
        captions: The caption of each image, by image name.
        references: The reference captions of each image, for the same names.
    """
    names = list(captions)
    _, scores = Cider().compute_score(
        {name: [_normalize(text) for text in references[name]] for name in names},
        {name: [_normalize(captions[name])] for name in names},
    )
    return dict(zip(names, map(float, scores), strict=True))


def caption_images(
    captioner: Captioner,
    dataset: Dataset,
    examples: Sequence[Example],
    beam: BeamConfig,
    consensus: Consensus | None = None,
) -> dict[str, str]:
    """Caption the examples' images; return the captions by image name."""
    search = CaptionSearch(captioner.decoder, beam, consensus)
    captioner.encoder.compile(jit_compile=False)
    captions: dict[str, str] = {}
    for start in tqdm(range(0, len(examples), _BATCH), desc="evaluate", unit="batch"):
        part = examples[start : start + _BATCH]
        side = captioner.config.image_size
        images = np.stack([resize_to_square(dataset.image(example.name), side) for example in part])
        grids = captioner.encoder.predict_on_batch(images.astype(np.float32))
        names = (example.name for example in part)
        captions |= dict(zip(names, caption_grids(captioner, search, grids), strict=True))
    return captions


def caption_grids(
    captioner: Captioner, search: CaptionSearch, grids: NDArray[np.floating]
) -> list[str]:
    """Caption every grid of [N, rows, columns, channels]."""
    captions = []
    for start in tqdm(range(0, len(grids), _BATCH), desc="captions", unit="batch", leave=False):
        for ids in search(grids[start : start + _BATCH]).tokens:
            captions.append(sentence(captioner.vocabulary.decode(ids)))
    return captions


def _normalize(caption: str) -> str:
    return " ".join(_WORD.findall(caption.lower()))
