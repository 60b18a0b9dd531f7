"""Captions of single images, which are no part of a stream."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Caption, Timing
from inference.captioning.decoding import blank_caption
from inference.captioning.model import CaptionModel
from models.calibration import is_blank
from models.captioner import BeamCaption
from models.language import PAD


@dataclass(frozen=True, slots=True, eq=False)
class StillCaption:
    """The caption of an image, as it is shown and as it was found."""

    caption: Caption
    """With the fallback, if the confidence is low."""
    whole: Caption
    """Without a fallback: its words are those that can be explained. It is the same as `caption` if
    that has none, or the image is blank."""
    tokens: tuple[int, ...]
    """Of the whole caption, with the end token unless it was cut."""


def caption_images(model: CaptionModel, images: Sequence[NDArray[np.uint8]]) -> list[StillCaption]:
    """Caption images together; their encodings are kept in the captioner's `grid_cache`.

    Args:
        model: The captioner.
        images: RGB, uint8 [H, W, 3] of any size.

    Returns:
        The caption of each image, the same as if it were captioned alone.

    Raises:
        ValueError: If an array is not such an image.
    """
    for image in images:
        model.check(image)
    shown = [image for image in images if not is_blank(image)]
    captions = iter(_caption_images(model, shown) if shown else ())
    return [_blank(model) if is_blank(image) else next(captions) for image in images]


def _caption_images(model: CaptionModel, images: Sequence[NDArray[np.uint8]]) -> list[StillCaption]:
    started = time.perf_counter()
    encodings = model.encode(images)
    encoded = time.perf_counter()
    found = model.search(encodings)
    decoded = time.perf_counter()
    timing = Timing(encoder=(encoded - started) * 1e3, decoder=(decoded - encoded) * 1e3)
    captions = []
    for row, (image, encoding) in enumerate(zip(images, encodings, strict=True)):
        model.grid_cache.put(image, encoding)
        best = BeamCaption(*(part[row] for part in found))
        caption = model.build_caption(best, encoding, timing)
        whole = caption
        if caption.fallback:
            whole = model.build_caption(best, encoding, timing, fallback=False)
        tokens = tuple(int(token) for token in best.tokens[best.tokens != PAD])
        captions.append(StillCaption(caption, whole, tokens))
    return captions


def _blank(model: CaptionModel) -> StillCaption:
    caption = blank_caption(calibrated=model.calibrated)
    return StillCaption(caption, caption, (model.wording.end,))
