"""FGSM and PGD attacks that search for the smallest perturbation that reaches a goal.

The results are upper bounds: a perturbation that was found does reach the goal, but a smaller one
may exist. The gradient points to the nearest solution only as far as the captioner is linear, and
success need not be monotonic in epsilon.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.findings import SmallestPerturbation
from inference.adversarial.goals import Evaluation, Goal
from inference.explanations.captioned_image import CaptionedImage
from models.attacks import Norm, fgsm, norms, pgd

Array = NDArray[np.float32]

_MIN_EPSILON = 1 / 256
"""Approximately the smallest epsilon to try in L-inf, in grey levels."""

_START_EPSILON = 0.5
"""Where the one-step search starts in L-inf, in grey levels."""

_L2_SHARE = 0.4
"""The L2 perturbation needed, as a share of the length of the equivalent L-inf perturbation."""

_PGD_SHARE = 0.6
"""The epsilon that several steps need, as a share of what one step needs."""

_LINE_STRIDE = 1.19
_PGD_STRIDE = 1.6

_FINE_RATIO, _COARSE_RATIO = 1.1, 1.25
"""Precision of the search: fine where a trial is one evaluation, coarse where it is many."""


@dataclass(frozen=True, slots=True, eq=False)
class AdversarialExample:
    """A perturbation that was observed to reach the goal."""

    epsilon: float
    """Norm of the perturbation."""
    perturbation: Array
    """[1, S, S, 3]"""
    tokens: tuple[int, ...]
    """See `Evaluation.tokens`."""


def norm_scale(norm: Norm, size: int) -> float:
    """Return the norm of a 1-grey-level perturbation of an image of `size` values."""
    return 1.0 if norm == "linf" else float(np.sqrt(size))


class Attack:
    """Attacks on one subject with one goal. Results for the clean image are computed once."""

    def __init__(self, subject: CaptionedImage, goal: Goal, epsilon_most: float) -> None:
        """Prepare; `epsilon_most` is the largest epsilon to search in L-inf, see `largest`."""
        self.subject, self.goal, self._most = subject, goal, epsilon_most
        self._last: tuple[Array, Array, Evaluation] | None = None

    @cached_property
    def pixels(self) -> Array:
        """The clean image, [1, S, S, 3]."""
        return self.subject.pixels[None].astype(np.float32)

    @cached_property
    def gradient(self) -> Array:
        """Gradient of the goal's objective at the clean image, [1, S, S, 3]."""
        return self._gradient(self.pixels)

    @cached_property
    def clean(self) -> Evaluation:
        """Evaluation of the clean image."""
        return self.evaluate(np.zeros_like(self.pixels))

    def largest(self, norm: Norm) -> float:
        """Return the largest epsilon to search."""
        return self._most * norm_scale(norm, self.pixels.size)

    def smallest(
        self, name: str, norm: Norm, found: AdversarialExample | None, caption: str
    ) -> SmallestPerturbation:
        """Describe the result of an attack as findings."""
        epsilon = found.epsilon if found else None
        return SmallestPerturbation(
            name, norm, epsilon, self.largest(norm), caption if found else ""
        )

    def evaluate(self, perturbation: Array) -> Evaluation:
        """Evaluate the goal on the image with a perturbation [1, S, S, 3]."""
        return self._evaluate(self.pixels + perturbation)[1]

    def fgsm(
        self, norm: Norm, hint: AdversarialExample | None = None
    ) -> Generator[None, None, AdversarialExample | None]:
        """Search for the smallest epsilon at which one step reaches the goal.

        Args:
            norm: Of the perturbation.
            hint: The result in L-inf, for an L2 search to start near it.

        Yields:
            Between passes.

        Returns:
            The result, or None. Epsilon is 0 if the clean image already reaches the goal.
        """
        yield
        if self.clean.reached:
            return self._zero_perturbation()
        yield
        _ = self.gradient
        unit = norm_scale(norm, self.pixels.size) * (1.0 if norm == "linf" else _L2_SHARE)
        best: list[AdversarialExample] = []

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            yield
            found = self._check(fgsm(self.gradient, self.pixels, epsilon, norm), norm)
            return _keep_smaller(best, found)

        start = (hint.epsilon if hint else _START_EPSILON) * unit
        yield from find_smallest(
            trial, start, _MIN_EPSILON * unit, self.largest(norm), ratio=_COARSE_RATIO
        )
        return best[0] if best else None

    def pgd(
        self,
        norm: Norm,
        steps: int,
        known: AdversarialExample | None = None,
        hint: AdversarialExample | None = None,
    ) -> Generator[None, None, AdversarialExample | None]:
        """Search for the smallest epsilon at which several steps reach the goal.

        Each epsilon starts from the perturbation of the previous one. A perturbation that reaches
        the goal is scaled down before a smaller epsilon is tried.

        Args:
            norm: Of the perturbation.
            steps: For each epsilon.
            known: What another attack, such as one step, found in this norm. The search continues
                below it.
            hint: The result in L-inf, for an L2 search without `known` to start near it.

        Yields:
            Between passes.

        Returns:
            The smallest result, `known` included; or None.
        """
        yield
        if self.clean.reached:
            return self._zero_perturbation()
        unit = norm_scale(norm, self.pixels.size) * (1.0 if norm == "linf" else _L2_SHARE)
        best = [known] if known else []
        latest = known.perturbation if known else np.zeros_like(self.pixels)

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            nonlocal latest
            start = latest
            yield
            for perturbation in self.steps(norm, epsilon, steps, start):
                yield
                latest = perturbation
                if found := self._check(perturbation, norm):
                    return _keep_smaller(best, (yield from self._shorten(found, norm)))
            return None

        if known:
            start = known.epsilon * _PGD_SHARE
        else:
            start = (hint.epsilon if hint else _START_EPSILON) * unit
        yield from find_smallest(
            trial,
            start,
            _MIN_EPSILON * unit,
            self.largest(norm),
            known=known.epsilon if known else None,
            stride=_PGD_STRIDE,
            ratio=_COARSE_RATIO,
        )
        return best[0] if best else None

    def steps(
        self, norm: Norm, epsilon: float, steps: int, start: Array
    ) -> Generator[Array, None, None]:
        """Run PGD from a perturbation; yields the perturbation after each step, [1, S, S, 3]."""
        yield from pgd(self._gradient, self.pixels, epsilon, norm, steps, start=start)

    def _shorten(
        self, longest: AdversarialExample, norm: Norm
    ) -> Generator[None, None, AdversarialExample]:
        """Scale a perturbation down as far as it still reaches the goal."""
        best = [longest]

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            yield
            shorter = longest.perturbation * np.float32(epsilon / longest.epsilon)
            return _keep_smaller(best, self._check(shorter, norm))

        yield from find_smallest(
            trial,
            longest.epsilon / _LINE_STRIDE,
            longest.epsilon / 8,
            longest.epsilon,
            known=longest.epsilon,
            stride=_LINE_STRIDE,
            ratio=_FINE_RATIO,
        )
        return best[0]

    def _check(self, perturbation: Array, norm: Norm) -> AdversarialExample | None:
        """Evaluate a perturbation; return it if it reaches the goal."""
        evaluation = self.evaluate(perturbation)
        if not evaluation.reached:
            return None
        epsilon = float(norms(perturbation, norm)[0])
        return AdversarialExample(epsilon, perturbation, evaluation.tokens)

    def _zero_perturbation(self) -> AdversarialExample:
        return AdversarialExample(0.0, np.zeros_like(self.pixels), self.clean.tokens)

    def _gradient(self, pixels: Array) -> Array:
        """Differentiate the goal's objective at an image [1, S, S, 3]."""
        model = self.subject.model
        grid, evaluation = self._evaluate(pixels)
        at_grid = model.attack_gradient(grid, evaluation.objective)
        return model.pixel_gradient(pixels[0], at_grid)[None]

    def _evaluate(self, pixels: Array) -> tuple[Array, Evaluation]:
        """Encode and evaluate an image; return its encoding and the evaluation.

        The last result is kept, because PGD needs the gradient where it has just evaluated.
        """
        if self._last is None or not np.array_equal(self._last[0], pixels):
            grid = self.subject.model.encode_pixels(pixels)[0]
            self._last = pixels, grid, self.goal.evaluate(grid)
        return self._last[1:]


def _keep_smaller(best: list[AdversarialExample], found: AdversarialExample | None) -> float | None:
    """Replace `best` by a smaller result; return the norm of `found`, if any."""
    if found is None:
        return None
    if not best or found.epsilon < best[0].epsilon:
        best[:] = [found]
    return found.epsilon


Trial = Callable[[float], Generator[None, None, float | None]]
"""Tests a size. Returns the size at which the condition was observed to hold, which may be smaller
than the one that was tested, or None. Yields before each part of the work, so that other work can
run in between."""


def find_smallest(
    trial: Trial,
    start: float,
    least: float,
    most: float,
    *,
    known: float | None = None,
    stride: float = 2.0,
    ratio: float = 1.1,
) -> Generator[None, None, float | None]:
    """Search by bisection in the logarithm of the size.

    From `start`, the search moves up while the condition fails and down while it holds, until it
    has one size of each kind; then it bisects the interval between them. If the condition holds at
    one size and fails at a larger one, the result does hold, but need not be the smallest.

    Args:
        trial: Tests one size.
        start: First size to test.
        least: Smallest size to test, above 0.
        most: Largest size to test.
        known: A size at which the condition is known to hold, if any; larger ones are not tested.
        stride: Factor between successive sizes before the bisection starts, above 1.
        ratio: Stop when the smallest size that holds divided by the largest one that fails is at
            most this; above 1.

    Yields:
        Whenever `trial` does.

    Returns:
        A size at which the condition was observed to hold; None if there is none up to `most`.
    """
    fails: float | None = None
    holds = known
    while True:
        if holds is not None and (holds <= least or (fails is not None and holds <= fails * ratio)):
            return holds
        if fails is not None and holds is None and fails >= most:
            return None
        size = min(max(_next_size(start, fails, holds, stride), least), most)
        observed = yield from trial(size)
        if observed is None:
            fails = size
        else:
            holds = min(observed, size)


def _next_size(start: float, fails: float | None, holds: float | None, stride: float) -> float:
    """Choose the next size from the largest that failed and the smallest that held."""
    if fails is None:
        return start if holds is None else min(start, holds / stride)
    return fails * stride if holds is None else math.sqrt(fails * holds)
