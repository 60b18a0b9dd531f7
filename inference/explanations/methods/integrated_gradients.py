"""Integrated gradients: how z grows as the image emerges from its mean colour."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import Ability
from inference.explanations import Map, RoughMap, TargetKind
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.map import downsample
from inference.explanations.method import Method, Work
from inference.explanations.score import Score

_FIRST_STEPS = 5
"""Steps of the first round. Each round has three times as many, among whose midpoints are those of
the round before."""


@dataclass(frozen=True, slots=True, eq=False)
class Attributions:
    """What integrated gradients attribute to each value of an image, and how much is missing."""

    values: NDArray[np.float32]
    """[S, S, 3]"""
    change: float
    """z(x) - z(x'), to which exact attributions sum ("completeness")."""
    steps: int

    @property
    def total(self) -> float:
        """Their sum."""
        return float(self.values.sum(dtype=np.float64))

    @property
    def gap(self) -> float:
        """The completeness error: the difference of sum and change, as a share of the change."""
        return abs(self.total - self.change) / max(abs(self.change), 1e-9)

    def to_map(self) -> Map:
        """Return the positive part of the sums over blocks of pixels, with the error as a note."""
        parts = self.values.sum(axis=-1)
        means = downsample(parts)
        error = f"{self.gap:.0%}" if self.gap < 10 else "more than 1000%"
        note = (
            f"The attributions sum to {self.total:.2f}, and the score changes by "
            f"{self.change:.2f}: an error of {error} after {self.steps} steps."
        )
        return Map(np.maximum(means * (parts.size / means.size), 0), note)


class IntegratedGradients(Method):
    """(x - x') times the mean of dz/dx on the path from x', the image's mean colour, to x.

    The mean is that at the midpoints of equal steps; for infinitely many the sum over all pixels
    and channels is z(x) - z(x') ("completeness"). The steps are refined threefold, up to 135, until
    the sum is within 5 % at 45 steps or more; the error that is left is noted on the map. The map
    shows the positive part of the sums over blocks of pixels, at most `MAX_CELLS` a side: support
    for the target, not evidence against it. In single pixels the two alternate like noise.
    """

    name = "integrated-gradients"
    title = "Integrated gradients"
    paper = "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017"
    cost = "45 to 135 passes through the encoder and the decoder, and their gradients"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption", "tag"})
    needs = frozenset({Ability.GRADIENTS, Ability.PIXEL_GRADIENTS})
    slow = True

    def __init__(self, least: int = 45, most: int = 135, tolerance: float = 0.05) -> None:
        """Set the limits of the steps on the path, each 5 times a power of 3, and of the error."""
        self._least, self._most, self._tolerance = least, most, tolerance

    def _work(self, subject: CaptionedImage, score: Score) -> Work:
        work = self.attributions(subject, score)
        while True:
            try:
                step = next(work)
            except StopIteration as end:
                found: Attributions = end.value
                return found.to_map()
            if isinstance(step, Attributions):
                done = step.steps / self._most
                yield RoughMap(done, f"Rough map from {step.steps} steps", step.to_map())
            else:
                yield step

    def attributions(
        self, subject: CaptionedImage, score: Score
    ) -> Generator[float | Attributions, None, Attributions]:
        """Attribute z(x) - z(x') to each value of the image.

        Yields:
            The share of the work that is done, and the attributions of every round but the last.
        """
        model, pixels = subject.model, subject.pixels.astype(np.float32)
        difference = pixels - subject.mean_colour
        blank = np.broadcast_to(subject.mean_colour, pixels.shape)
        nothing, whole = (score.logits(model.encode_pixels(each[None])) for each in (blank, pixels))
        total, steps = np.zeros_like(pixels), _FIRST_STEPS
        while True:
            for step in range(steps):
                # The round before had the middle one of three.
                if steps > _FIRST_STEPS and step % 3 == 1:
                    continue
                point = subject.mean_colour + difference * np.float32((step + 0.5) / steps)
                at_grid = score.gradient(model.encode_pixels(point[None])[0])
                share = (steps / 3 + step * 2 / 3) if steps > _FIRST_STEPS else step
                yield share / self._most
                total += model.pixel_gradient(point, at_grid)
            found = Attributions(
                difference * (total / np.float32(steps)), float(whole[0] - nothing[0]), steps
            )
            precise = steps >= self._least and found.gap <= self._tolerance
            if precise or 3 * steps > self._most:
                return found
            yield found
            steps *= 3
