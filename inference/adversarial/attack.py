"""Attacks that search for the smallest perturbation that reaches a goal.

FGSM and PGD as in `models.attacks`, and an attack that walks along the boundary between two
captions towards the nearest point (DeepFool: Moosavi-Dezfooli et al., CVPR 2016; FAB: Croce and
Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary Attack", ICML 2020).
Each begins where the others stopped, so the last result is the smallest of all.

The results are upper bounds: a perturbation that was found does reach the goal, but a smaller one
may exist. The gradient points to the nearest solution only as far as the captioner is linear, and
success need not be monotonic in epsilon.
"""

from collections.abc import Callable, Generator, Iterable
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.findings import SmallestPerturbation
from inference.adversarial.goals import AdversarialExample, Evaluation, Goal, Margin
from inference.adversarial.threshold_search import find_smallest
from inference.explanations.captioned_image import CaptionedImage
from models.attacks import WHITE, Norm, direction, fgsm, noise, norms, pgd, project

Array = NDArray[np.float32]

LEAST_EPSILON = 2.0**-13
"""The smallest epsilon to try in L-inf, in grey levels: eight times the spacing of numbers in
single precision near white. Below it, rounding decides."""

_START_EPSILON = 0.5
"""Where the one-step search starts in L-inf, in grey levels."""

_L2_SHARE = 0.4
"""The L2 perturbation needed, as a share of the length of the equivalent L-inf perturbation."""

_PGD_SHARE = 0.85
"""The first epsilon that PGD tries, as a share of what is known to suffice."""

_LINE_STRIDE, _FIRST_STRIDE = 1.15, 2.0

_FINE_RATIO, _COARSE_RATIO = 1.05, 1.18
"""Precision of the search: fine where a trial is one evaluation, coarse where it is many."""

_BEYOND = 1.01
"""How far beyond the boundary, as a share of the way to it, the next point is tried."""

_TURNS = (1.0, 0.5, 0.25)
"""Shares of the way to the nearest point of the linearised boundary that are tried in turn."""

_MOST_RIVALS = 1
"""Rivals that were reached before, the nearest first, towards which one step is tried."""

_LEAST_GAIN = 0.99
"""The walk along the boundary ends when a step leaves more than this share of epsilon."""


def norm_scale(norm: Norm, size: int) -> float:
    """Return the norm of a 1-grey-level perturbation of an image of `size` values."""
    return 1.0 if norm == "linf" else float(np.sqrt(size))


class Attack:
    """Attacks on one subject with one goal. Results for the clean image are computed once."""

    def __init__(self, subject: CaptionedImage, goal: Goal, epsilon_most: float) -> None:
        """Prepare; `epsilon_most` is the largest epsilon to search in L-inf, see `largest`."""
        self.subject, self.goal, self._most = subject, goal, epsilon_most
        self._last: tuple[Array, Array, Evaluation] | None = None
        self._reached: dict[tuple[int, ...], AdversarialExample] = {}
        """The smallest perturbation of either norm that led to each result."""

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
        self, norm: Norm, found: AdversarialExample | None, caption: str, attack: str = "pgd"
    ) -> SmallestPerturbation:
        """Describe the result of attacks as findings; `attack` is the last if none found any."""
        if found is None:
            return SmallestPerturbation(attack, norm, None, self.largest(norm))
        return SmallestPerturbation(
            found.attack or attack, norm, found.epsilon, self.largest(norm), caption
        )

    def evaluate(self, perturbation: Array) -> Evaluation:
        """Evaluate the goal on the image with a perturbation [1, S, S, 3]."""
        return self._evaluate(self.pixels + perturbation)[1]

    def fgsm(
        self, norm: Norm, known: AdversarialExample | None = None
    ) -> Generator[None, None, AdversarialExample | None]:
        """Search for the smallest epsilon at which one step reaches the goal.

        Args:
            norm: Of the perturbation.
            known: What another attack found in this norm. The search continues below it.

        Yields:
            Between passes.

        Returns:
            The smallest result, `known` included, or None. Epsilon is 0 if the clean image already
            reaches the goal.
        """
        yield
        if self.clean.reached:
            return self._zero_perturbation()
        yield
        best = [known] if known else []
        step = partial(self._step, self.gradient, norm)
        yield from self._search_along(step, norm, "fgsm", best)
        return best[0] if best else None

    def fab(
        self, norm: Norm, rounds: int, known: AdversarialExample | None = None
    ) -> Generator[None, None, AdversarialExample | None]:
        """Step to the nearest boundary, and walk along it to its nearest point.

        From the clean image one step goes straight towards each rival of `Goal.margins` and those
        that attacks have reached so far. Then the boundary is linearised at the smallest
        perturbation, which turns towards the nearest point of that plane and is shortened again.

        Args:
            norm: Of the perturbation.
            rounds: Most steps along the boundary.
            known: What another attack found in this norm. The search continues below it.

        Yields:
            Between passes.

        Returns:
            The smallest result, `known` included, or None.
        """
        yield
        if self.clean.reached:
            return self._zero_perturbation()
        best = [known] if known else []
        reached = sorted(self._reached.values(), key=lambda each: each.epsilon)
        margins = [each.margin for each in reached if each.margin][:_MOST_RIVALS]
        known_rivals = {each.rival.tokens.tobytes() for each in margins}
        for margin in self.goal.margins():
            if margin.rival.tokens.tobytes() not in known_rivals:
                margins.append(margin)
        for margin in margins:
            yield
            step = partial(self._step, self._gradient(self.pixels, margin), norm)
            yield from self._search_along(step, norm, "fab", best)
        if not best:
            return None
        best = [(yield from self._shorten(best[0], norm))]
        for _ in range(rounds):
            before = best[0].epsilon
            if before > self._least(norm) and best[0].margin:
                yield from self._turn(norm, best[0], best[0].margin, best)
            if best[0].epsilon > _LEAST_GAIN * before:
                break
        return best[0]

    def try_others(
        self, norm: Norm, others: Iterable[AdversarialExample], known: AdversarialExample | None
    ) -> Generator[None, None, AdversarialExample | None]:
        """Try the directions of what attacks with other goals found, the nearest first.

        Args:
            norm: Of the perturbations.
            others: What was found, in either norm.
            known: What another attack found. The search continues below it.

        Yields:
            Between passes.

        Returns:
            The smallest result, `known` included, or None.
        """
        best = [known] if known else []
        for other in sorted(others, key=lambda each: each.epsilon):
            if other.epsilon:
                along = partial(self._step, other.perturbation, norm)
                yield from self._search_along(along, norm, other.attack, best)
        return best[0] if best else None

    def pgd(
        self,
        norm: Norm,
        steps: int,
        known: AdversarialExample | None = None,
        random: np.random.Generator | None = None,
    ) -> Generator[None, None, AdversarialExample | None]:
        """Search for the smallest epsilon at which several steps reach the goal.

        Each epsilon starts from the perturbation of the previous one, or at random. A perturbation
        that reaches the goal is scaled down before a smaller epsilon is tried.

        Args:
            norm: Of the perturbation.
            steps: For each epsilon.
            known: What another attack, such as one step, found in this norm. The search continues
                below it.
            random: Start each epsilon from random noise of that size, drawn from here.

        Yields:
            Between passes.

        Returns:
            The smallest result, `known` included; or None.
        """
        yield
        if self.clean.reached:
            return self._zero_perturbation()
        unit = self._unit(norm)
        best = [known] if known else []
        latest = known.perturbation if known else np.zeros_like(self.pixels)

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            nonlocal latest
            start = noise(random, self.pixels, epsilon, norm) if random else latest
            # Towards the rival that was reached, unless at random: then away from the caption.
            margin = best[0].margin if best and not random else None
            yield
            for perturbation in self.steps(norm, epsilon, steps, start, margin):
                yield
                latest = perturbation
                if found := self._check(perturbation, norm, "pgd"):
                    return _keep_smaller(best, (yield from self._shorten(found, norm)))
            return None

        yield from find_smallest(
            trial,
            known.epsilon * _PGD_SHARE if known else _START_EPSILON * unit,
            self._least(norm),
            self.largest(norm),
            known=known.epsilon if known else None,
            stride=1 / _PGD_SHARE if known else _FIRST_STRIDE,
            ratio=_COARSE_RATIO,
        )
        return best[0] if best else None

    def steps(
        self,
        norm: Norm,
        epsilon: float,
        steps: int,
        start: Array,
        margin: Margin | None = None,
    ) -> Generator[Array, None, None]:
        """Run PGD from a perturbation; yields the perturbation after each step, [1, S, S, 3].

        With a margin the steps raise the rival, without one they follow the goal's objective.
        """
        gradient = partial(self._gradient, margin=margin)
        yield from pgd(gradient, self.pixels, epsilon, norm, steps, start=start)

    def _unit(self, norm: Norm) -> float:
        return norm_scale(norm, self.pixels.size) * (1.0 if norm == "linf" else _L2_SHARE)

    def _least(self, norm: Norm) -> float:
        return LEAST_EPSILON * self._unit(norm)

    def _step(self, gradient: Array, norm: Norm, epsilon: float) -> Array:
        return fgsm(gradient, self.pixels, epsilon, norm)

    def _search_along(
        self,
        perturb: Callable[[float], Array],
        norm: Norm,
        attack: str,
        best: list[AdversarialExample],
    ) -> Generator[None, None, None]:
        """Search for the smallest of some perturbations, given by epsilon, below the best."""

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            yield
            return _keep_smaller(best, self._check(perturb(epsilon), norm, attack))

        known = best[0].epsilon if best else None
        yield from find_smallest(
            trial,
            known / _LINE_STRIDE if known else _START_EPSILON * self._unit(norm),
            self._least(norm),
            self.largest(norm),
            known=known,
            stride=_LINE_STRIDE if known else _FIRST_STRIDE,
            ratio=_LINE_STRIDE if known else _COARSE_RATIO,
        )

    def _turn(
        self,
        norm: Norm,
        found: AdversarialExample,
        margin: Margin,
        best: list[AdversarialExample],
    ) -> Generator[None, None, None]:
        """Turn a perturbation at the boundary towards the boundary's nearest point."""
        yield
        perturbation = found.perturbation
        gradient = self._gradient(self.pixels + perturbation, margin)
        # Values that cannot move along the gradient from the clean image are of no use.
        blocked = ((self.pixels >= WHITE) & (gradient > 0)) | ((self.pixels <= 0) & (gradient < 0))
        usable = np.where(blocked, 0, gradient)
        along = float((usable.astype(np.float64) * perturbation).sum())
        step = direction(usable, norm)
        distance = along / max(float((usable.astype(np.float64) * step).sum()), 1e-30)
        if along <= 0:
            return
        for share in _TURNS:
            yield
            turned = share * distance * _BEYOND * step + (1 - share) * perturbation
            turned = project(turned, self.pixels, found.epsilon, norm)
            if reached := self._check(turned, norm, "fab"):
                shorter = yield from self._shorten(reached, norm)
                if shorter.epsilon < found.epsilon:
                    _keep_smaller(best, shorter)
                    return

    def _shorten(
        self, longest: AdversarialExample, norm: Norm
    ) -> Generator[None, None, AdversarialExample]:
        """Scale a perturbation down as far as it still reaches the goal."""
        best = [longest]

        def trial(epsilon: float) -> Generator[None, None, float | None]:
            yield
            shorter = longest.perturbation * np.float32(epsilon / longest.epsilon)
            return _keep_smaller(best, self._check(shorter, norm, longest.attack))

        yield from find_smallest(
            trial,
            longest.epsilon / _FINE_RATIO,
            self._least(norm),
            longest.epsilon,
            known=longest.epsilon,
            stride=_FINE_RATIO,
            ratio=_FINE_RATIO,
        )
        return best[0]

    def _check(self, perturbation: Array, norm: Norm, attack: str) -> AdversarialExample | None:
        """Evaluate a perturbation; return it if it reaches the goal."""
        evaluation = self.evaluate(perturbation)
        if not evaluation.reached:
            return None
        epsilon = float(norms(perturbation, norm)[0])
        found = AdversarialExample(
            attack, epsilon, perturbation, evaluation.tokens, evaluation.margin
        )
        self._reached.setdefault(found.tokens, found)
        return found

    def _zero_perturbation(self) -> AdversarialExample:
        nothing = np.zeros_like(self.pixels)
        return AdversarialExample("", 0.0, nothing, self.clean.tokens, self.clean.margin)

    def _gradient(self, pixels: Array, margin: Margin | None = None) -> Array:
        """Differentiate the goal's objective, or a rival's lead, at an image [1, S, S, 3]."""
        model = self.subject.model
        grid, evaluation = self._evaluate(pixels)
        if margin is None:
            at_grid = model.attack_gradient(grid, evaluation.objective)
        else:
            own, rival = (model.attack_gradient(grid, each) for each in margin[:2])
            at_grid = margin.own_weight * own - margin.rival_weight * rival
        return model.pixel_gradient(pixels[0], np.asarray(at_grid, np.float32))[None]

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
