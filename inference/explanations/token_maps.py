"""Maps of all words of captions by a live method: the captioner's own, or learned ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inference.captioning.objective import LogitTerms
from inference.explanations.map import CaptionMaps, Map
from models.captioner import BeamCaption
from models.language import PAD

if TYPE_CHECKING:
    from inference.captioning.model import CaptionModel

Array = NDArray[np.float32]

LEARNED = "learned"
"""The live method of a captioner whose folder has a head, see `map_head`."""


def token_maps(
    model: "CaptionModel",
    method: str,
    encodings: Array,
    captions: Sequence[BeamCaption],
    terms: LogitTerms,
) -> Array:
    """Explain tokens by any of the captioner's `live_methods`; see `CaptionModel.token_maps`.

    Learned maps ignore the tokens that are subtracted.
    """
    if method != LEARNED or model.head is None:
        return model.token_maps(method, encodings, captions, terms)
    base = model.token_maps(model.head.base, encodings, captions, terms)
    places = terms.plus.shape[1]
    hidden = np.stack([caption.hidden[:places] for caption in captions])
    return model.head(model.cells(encodings), hidden, terms.plus, base)


def live_maps(
    model: "CaptionModel", encodings: Array, captions: Sequence[BeamCaption]
) -> list[CaptionMaps]:
    """Explain every word of captions by the captioner's `live_method`; see `CaptionModel`."""
    wording, method = model.wording, model.live_method
    stripped = [wording.strip(caption.tokens) for caption in captions]
    plus = np.full((len(captions), max(1, *map(len, stripped))), PAD, np.int32)
    for row, tokens in zip(plus, stripped, strict=True):
        row[: len(tokens)] = tokens
    terms = LogitTerms(plus, np.full_like(plus, PAD))
    maps = token_maps(model, method, encodings, captions, terms)
    return [
        CaptionMaps(
            method,
            tuple(
                Map(np.maximum(signed[word.start : word.stop].sum(axis=0), 0))
                for word in wording.words(tokens)
            ),
            Map(np.maximum(signed[: len(tokens)].sum(axis=0), 0)),
        )
        for signed, tokens in zip(maps, stripped, strict=True)
    ]
