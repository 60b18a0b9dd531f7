"""Occlusion by captioning again: which words an answer loses when a region of the image is hidden.

It needs nothing but answers. Their words are compared by stem, so "dog" and "dogs" are the same and
"man" and "person" are not: a word that another one replaces counts as lost.
"""

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.endpoints.answer import words_of
from inference.explanations import Map, MethodCard, Target
from models.language import content_words

METHOD = "occlusion-answers"
"""Name of the method."""

WHOLE = -1
"""In place of a region: nothing is hidden."""


def method_card(regions: int) -> MethodCard:
    """Return the method's properties, for an image with so many regions on a side."""
    return MethodCard(
        name=METHOD,
        title="Occlusion by captioning again",
        paper="Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014; "
        "here by the words of the answers",
        cost=f"{request_count(regions)} requests to the endpoint, once for all words of a frame: "
        f"one with each of {regions * regions} regions hidden, and one with none",
        unit="share of answers",
        kinds=("caption", "word"),
    )


def request_count(regions: int) -> int:
    """Return the number of requests to explain a caption."""
    return regions * regions + 1


def hide(image: NDArray[np.uint8], regions: int, index: int) -> NDArray[np.uint8]:
    """Return a copy of an image with one of its regions painted in the image's mean colour.

    Args:
        image: RGB, uint8 [H, W, 3].
        regions: Regions on a side.
        index: The region, row by row; `WHOLE` for none.
    """
    if index == WHOLE:
        return image
    row, column = divmod(index, regions)
    rows, columns = (
        np.linspace(0, side, regions + 1).round().astype(int) for side in image.shape[:2]
    )
    hidden = image.copy()
    hidden[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = image.mean(
        axis=(0, 1)
    ).round()
    return hidden


class HiddenRegions:
    """The captions of one image with its regions hidden, which explain all words of its caption."""

    def __init__(self, regions: int) -> None:
        """Start without captions, for so many regions on a side."""
        self.regions = regions
        self.captions: dict[int, str] = {}
        """By region, and of the whole image."""
        self.collecting = asyncio.Lock()
        """Held while captions are added, so that no region is asked about twice."""

    @property
    def missing(self) -> list[int]:
        """The regions without a caption, the whole image first."""
        return [each for each in range(WHOLE, self.regions**2) if each not in self.captions]

    def map(self, words: Sequence[str]) -> Map:
        """Return the mean of the maps of some words; all captions are there.

        Returns:
            [regions, regions]: of a word 1 where hiding the region makes it disappear, otherwise 0.

        Raises:
            ValueError: If the caption of the whole image has none of the words: then the model's
                answer varies by itself, and no region explains it. Of several words, those that it
                lacks are left out.
        """
        whole = self.captions[WHOLE]
        stable = [each for each in words if contains(whole, each)]
        if not stable:
            raise ValueError(
                f"asked again about the same frame, the model answered {whole!r}, without "
                f"{words[0]!r}; so no region explains it"
            )
        lost = [
            [not contains(self.captions[region], word) for region in range(self.regions**2)]
            for word in stable
        ]
        shares = np.mean(np.asarray(lost, np.float32), axis=0, dtype=np.float32)
        return Map(shares.reshape(self.regions, self.regions))


def target_words(caption: str, target: Target) -> list[str]:
    """Return the words whose maps explain a target: the word, or a caption's content words.

    Raises:
        ValueError: If the target is of another kind, or there is no such word.
    """
    words = words_of(caption)
    if target.kind == "caption":
        return [each for each in words if content_words(each)] or words
    if target.kind != "word":
        raise ValueError(f"this method cannot explain a {target.kind}")
    if target.index is None or not 0 <= target.index < len(words):
        raise ValueError(f"the caption has {len(words)} words, and none of index {target.index}")
    return [words[target.index]]


def contains(caption: str, word: str) -> bool:
    """Return whether a caption contains a word: its stem if it is a content word."""
    stems = content_words(word)
    if stems:
        return stems <= content_words(caption)
    return word.casefold() in map(str.casefold, words_of(caption))
