"""Explanations of a captioner's captions, by the name of a method."""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.check import Check
from inference.explanations.masking import check_map
from inference.explanations.method import Method, Work
from inference.explanations.methods import available_methods
from inference.explanations.target import Target
from inference.progress import Progress, map_progress

_MAX_MASKED = 4
"""Captioned images that are remembered for their masked copies' scores."""


class Explainer:
    """Explains captions of a captioner.

    Remembers the last captioned image, so that explanations of the same one share what they
    compute, and the last few of which masked copies were scored: live maps, which explain one frame
    after another, do not displace those of frozen frames.
    """

    def __init__(self, model: CaptionModel) -> None:
        """Explain this captioner's captions."""
        self.methods = available_methods(model)
        """By name, that of the live maps first."""
        self._model = model
        self._last: CaptionedImage | None = None
        self._masked: list[CaptionedImage] = []

    def explain(
        self, image: NDArray[np.uint8], tokens: tuple[int, ...], method: str, target: Target
    ) -> Work:
        """Compute a map.

        Args:
            image: RGB, uint8 [H, W, 3] of any size.
            tokens: The caption's, see `StreamState.tokens`.
            method: Name of one of `methods`.
            target: What to explain.

        Raises:
            ValueError: If there is no such method, or it cannot explain the target.
        """
        chosen = self._method(method)
        return (yield from chosen.explain(self._captioned_image(image, tokens), target))

    def check(
        self, image: NDArray[np.uint8], tokens: tuple[int, ...], method: str, index: int
    ) -> Generator[Progress, None, Check]:
        """Check a word's map.

        Args:
            image: As in `explain`.
            tokens: As in `explain`.
            method: As in `explain`.
            index: The word's index in the caption.

        Raises:
            ValueError: As in `explain`.
        """
        chosen = self._method(method)
        subject = self._captioned_image(image, tokens)
        work = chosen.explain(subject, Target("word", index))
        # A map that comes at once takes no part of the progress, and a slow one half of it.
        start = 0.0

        def computing(step: float | Progress) -> Progress:
            nonlocal start
            start = max(start, as_progress(step).done / 2)
            return Progress(start, "Computing the map")

        def blanking(done: float) -> Progress:
            return Progress(start + (1 - start) * done, "Blanking regions")

        result = yield from map_progress(work, computing)
        return (yield from map_progress(check_map(subject, result, index), blanking))

    def _captioned_image(self, image: NDArray[np.uint8], tokens: tuple[int, ...]) -> CaptionedImage:
        """Reuse a remembered captioned image if it is the same one."""
        self._model.check(image)
        if self._last and self._last.masked and self._last not in self._masked:
            self._masked = [*self._masked, self._last][-_MAX_MASKED:]
        for known in filter(None, (self._last, *self._masked)):
            if known.tokens == tokens and np.array_equal(known.image, image):
                self._last = known
                return known
        self._last = CaptionedImage(self._model, image, tokens)
        return self._last

    def _method(self, name: str) -> Method:
        if name not in self.methods:
            methods = ", ".join(self.methods)
            raise ValueError(f"there is no method {name!r}; the methods are {methods}")
        return self.methods[name]


def as_progress(step: float | Progress) -> Progress:
    """Return what a method yields as progress: a share has no named step."""
    return step if isinstance(step, Progress) else Progress(step, "")
