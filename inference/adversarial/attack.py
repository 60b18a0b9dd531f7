"""Attacks on a subject that search for the smallest perturbation that reaches an aim.

What they find is an upper bound: the perturbation found does reach the aim, and was seen to, but a
smaller one may too. The gradient leads to the nearest place where the aim is reached only as far as
the captioner is linear, and whether it is reached need not grow with epsilon.

The search for the smallest size at which something holds, whatever it is.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.aims import Aim, Sight
from inference.adversarial.findings import Smallest
from inference.explanations.subject import Subject
from models.attacks import Norm, fgsm, norms, pgd

Array = NDArray[np.float32]

_LEAST = 1 / 256
"""Grey levels, about the smallest epsilon that is tried in L-inf."""

_FIRST = 0.5
"""Grey levels, from where the search with one step starts in L-inf."""

_L2_SHARE = 0.4
"""Of the length of an L-inf perturbation: about what L2 needs for the same."""

_PGD_SHARE = 0.6
"""Of the epsilon of one step: about what several need."""

_LINE_STRIDE = 1.19
_PGD_STRIDE = 1.6

_FINE, _COARSE = 1.1, 1.25
"""How near the search comes to what fails: where a trial is a look, and where it is many."""

Trial = Callable[[float], Generator[None, None, float | None]]
"""Tries a size: returns the size at which it was seen to hold, which may be smaller still than the
one that was asked for; or None. Yields before each part of the work, so that others get a turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A perturbation that was seen to reach the aim."""

    epsilon: float
    """Its norm."""
    perturbation: Array
    """[1, S, S, 3]"""
    tokens: tuple[int, ...]
    """What is said then, see `Sight.tokens`."""


def scale(norm: Norm, size: int) -> float:
    """How long a perturbation of 1 grey level everywhere is, of a picture of so many values."""
    return 1.0 if norm == "linf" else float(np.sqrt(size))


class Attack:
    """One aim on one subject. What it computes of the clean picture, it computes once."""

    def __init__(self, subject: Subject, aim: Aim, epsilon_most: float) -> None:
        """Take the aim, and the largest epsilon to search up to in L-inf; see `largest`."""
        self.subject, self.aim, self._most = subject, aim, epsilon_most
        self._looked: tuple[Array, Array, Sight] | None = None

    @cached_property
    def pixels(self) -> Array:
        """The clean picture, [1, S, S, 3]."""
        return self.subject.pixels[None].astype(np.float32)

    @cached_property
    def slope(self) -> Array:
        """The gradient at the clean picture, [1, S, S, 3]."""
        return self._gradient(self.pixels)

    @cached_property
    def clean(self) -> Sight:
        """What is seen of the clean picture."""
        return self.look(np.zeros_like(self.pixels))

    def largest(self, norm: Norm) -> float:
        """Up to which epsilon is searched."""
        return self._most * scale(norm, self.pixels.size)

    def told(self, name: str, norm: Norm, found: Found | None, caption: str) -> Smallest:
        """Tell what an attack found, and what is said then."""
        epsilon = found.epsilon if found else None
        return Smallest(name, norm, epsilon, self.largest(norm), caption if found else "")

    def look(self, perturbation: Array) -> Sight:
        """Look at the picture with a perturbation [1, S, S, 3]."""
        return self._look(self.pixels + perturbation)[1]

    def fgsm(self, norm: Norm, hint: Found | None = None) -> Generator[None, None, Found | None]:
        """Search for the smallest epsilon at which one step reaches the aim.

        Args:
            norm: Of the perturbation.
            hint: What was found in L-inf, if this is L2, to start near it.

        Yields:
            Between passes.

        Returns:
            What was found, or None. Epsilon is 0 if the clean picture is there already.
        """
        yield
        if self.clean.reached:
            return self._nothing()
        yield
        _ = self.slope
        unit = scale(norm, self.pixels.size) * (1.0 if norm == "linf" else _L2_SHARE)
        best: list[Found] = []

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            yield
            found = self._reaching(fgsm(self.slope, self.pixels, epsilon, norm), norm)
            return _keep(best, found)

        start = (hint.epsilon if hint else _FIRST) * unit
        yield from smallest(trial, start, _LEAST * unit, self.largest(norm), ratio=_COARSE)
        return best[0] if best else None

    def pgd(
        self, norm: Norm, steps: int, known: Found | None = None, hint: Found | None = None
    ) -> Generator[None, None, Found | None]:
        """Search for the smallest epsilon at which several steps reach the aim.

        Each epsilon is tried from where the one before has led. What reaches the aim is made
        smaller along its line before a smaller epsilon is tried.

        Args:
            norm: Of the perturbation.
            steps: For each epsilon.
            known: What was found in this norm by another attack, such as one step, of which this
                is the general case: the search goes on below.
            hint: What was found in L-inf, if this is L2 and nothing is known, to start near it.

        Yields:
            Between passes.

        Returns:
            The smallest that was found, `known` included; or None.
        """
        yield
        if self.clean.reached:
            return self._nothing()
        unit = scale(norm, self.pixels.size) * (1.0 if norm == "linf" else _L2_SHARE)
        best = [known] if known else []
        near = [known.perturbation if known else np.zeros_like(self.pixels)]

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            start = near[0]
            yield
            for perturbation in self.steps(norm, epsilon, steps, start):
                yield
                near[0] = perturbation
                if found := self._reaching(perturbation, norm):
                    return _keep(best, (yield from self._shorten(found, norm)))
            return None

        start = known.epsilon * _PGD_SHARE if known else (hint.epsilon if hint else _FIRST) * unit
        yield from smallest(
            trial,
            start,
            _LEAST * unit,
            self.largest(norm),
            known=known.epsilon if known else None,
            stride=_PGD_STRIDE,
            ratio=_COARSE,
        )
        return best[0] if best else None

    def steps(
        self, norm: Norm, epsilon: float, steps: int, start: Array
    ) -> Generator[Array, None, None]:
        """Take steps of PGD from a perturbation: yields where each leads, [1, S, S, 3]."""
        yield from pgd(self._gradient, self.pixels, epsilon, norm, steps, start=start)

    def _shorten(self, longest: Found, norm: Norm) -> Generator[None, None, Found]:
        """Make a perturbation that reaches the aim smaller along its line."""
        best = [longest]

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            yield
            shorter = longest.perturbation * np.float32(epsilon / longest.epsilon)
            return _keep(best, self._reaching(shorter, norm))

        yield from smallest(
            trial,
            longest.epsilon / _LINE_STRIDE,
            longest.epsilon / 8,
            longest.epsilon,
            known=longest.epsilon,
            stride=_LINE_STRIDE,
            ratio=_FINE,
        )
        return best[0]

    def _reaching(self, perturbation: Array, norm: Norm) -> Found | None:
        """Look at a perturbation, and take it if it reaches the aim."""
        sight = self.look(perturbation)
        if not sight.reached:
            return None
        return Found(float(norms(perturbation, norm)[0]), perturbation, sight.tokens)

    def _nothing(self) -> Found:
        return Found(0.0, np.zeros_like(self.pixels), self.clean.tokens)

    def _gradient(self, pixels: Array) -> Array:
        """Of what the aim wants raised, at pictures [1, S, S, 3]."""
        graphs = self.subject.model.graphs
        grid, sight = self._look(pixels)
        at_grid = graphs.attack_gradient(grid, sight.objective)
        return graphs.pixel_gradient(pixels[0], at_grid)[None]

    def _look(self, pixels: Array) -> tuple[Array, Sight]:
        """The last look is kept: PGD asks for the gradient where it was looked at before."""
        if self._looked is None or not np.array_equal(self._looked[0], pixels):
            grid = self.subject.model.encode_pixels(pixels)[0]
            self._looked = pixels, grid, self.aim.look(grid)
        return self._looked[1:]


def _keep(best: list[Found], found: Found | None) -> float | None:
    """Let what was found take the place of what is larger; return its norm, if it was found."""
    if found is None:
        return None
    if not best or found.epsilon < best[0].epsilon:
        best[:] = [found]
    return found.epsilon


def smallest(
    holds: Trial,
    start: float,
    least: float,
    most: float,
    *,
    known: float | None = None,
    stride: float = 2.0,
    ratio: float = 1.1,
) -> Generator[None, None, float | None]:
    """Search by bisection, in the logarithm of the size.

    From `start` it walks up while it does not hold, and down while it does, until it knows a size
    of each kind; then it halves what lies between. Where it holds at one size and not at a larger
    one, what is found holds, but need not be the smallest.

    Args:
        holds: What is asked of each size.
        start: The first size that is tried.
        least: Smaller ones are not tried; above 0.
        most: Larger ones are not tried.
        known: A size at which it is known to hold, if there is one: larger ones are not tried.
        stride: By what each step of the walk multiplies or divides; above 1.
        ratio: How far the smallest size at which it holds may be above a size at which it does
            not; above 1.

    Yields:
        Whenever `holds` does.

    Returns:
        A size at which it was seen to hold; None if there was none up to `most`.
    """
    fails: float | None = None
    above = known
    while True:
        if above is not None and (above <= least or (fails is not None and above <= fails * ratio)):
            return above
        if fails is not None and above is None and fails >= most:
            return None
        size = min(max(_next(start, fails, above, stride), least), most)
        seen = yield from holds(size)
        if seen is None:
            fails = size
        else:
            above = min(seen, size)


def _next(start: float, fails: float | None, above: float | None, stride: float) -> float:
    """The size to try, given the largest that failed and the smallest that held."""
    if fails is None:
        return start if above is None else min(start, above / stride)
    return fails * stride if above is None else math.sqrt(fails * above)
