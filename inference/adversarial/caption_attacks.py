"""The smallest change of the caption: the minimum over attacks, and what 8 bits leave of it."""

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import Attack
from inference.adversarial.findings import (
    AdversarialParams,
    AttackedCaption,
    HarmlessChange,
    Rounding,
    SmallestPerturbation,
)
from inference.adversarial.goals import AdversarialExample, ChangeCaption
from models.attacks import WHITE, Norm, fgsm
from models.hardening import HARMLESS
from models.language import diff_words

_ROUNDS, _OTHER_ROUNDS = 5, 2
"""Steps along the boundary; in the norm that is not the main one fewer."""

_LINEAR = 2.0**-8
"""Below this share of the largest epsilon the boundary is nearly a plane, and PGD finds no less."""

_WHOLE_LEVELS = (1, 2, 4, 8, 16, 32, 64)


class CaptionAttacks:
    """What the attacks on a caption have found, in both norms."""

    def __init__(self, attack: Attack, goal: ChangeCaption, params: AdversarialParams) -> None:
        """Prepare attacks with the goal to change the caption."""
        self._attack, self._goal, self._params = attack, goal, params
        self._found: list[tuple[str, Norm, AdversarialExample | None]] = []

    def search(
        self, others: Sequence[AdversarialExample], random: np.random.Generator
    ) -> Generator[None, None, None]:
        """Attack the caption by each attack in turn, first and without PGD in the other norm.

        Args:
            others: What attacks on single words found.
            random: For random starts.

        Yields:
            Between passes.
        """
        attack, norm, steps = self._attack, self._params.norm, self._params.steps
        other: Norm = "l2" if norm == "linf" else "linf"
        for each in (other, norm):
            found = yield from attack.fgsm(each)
            self._found.append(("fgsm", each, found))
            if each == norm:
                either = [*others, *(example for _, _, example in self._found if example)]
                found = yield from attack.try_others(norm, either, found)
            found = yield from attack.fab(each, _ROUNDS if each == norm else _OTHER_ROUNDS, found)
            self._found.append(("fab", each, found))
            if each == norm and not (found and found.epsilon < _LINEAR * attack.largest(norm)):
                found = yield from attack.pgd(norm, steps, found, random)
                self._found.append(("pgd", norm, found))

    @property
    def examples(self) -> list[AdversarialExample]:
        """All perturbations in the norm of the parameters."""
        return [each for _, norm, each in self._found if norm == self._params.norm and each]

    @property
    def best(self) -> AdversarialExample | None:
        """The smallest of them."""
        return min(self.examples, key=lambda each: each.epsilon, default=None)

    def findings(self) -> tuple[SmallestPerturbation, ...]:
        """List the smallest perturbation, then what attacks before it and the other norm gave."""
        text = self._attack.subject.model.text
        listed: list[SmallestPerturbation] = []
        for name, norm, each in reversed(self._found):
            caption = text(each.tokens) if each else ""
            smallest = self._attack.smallest(norm, each, caption, name)
            if smallest not in listed:
                listed.append(smallest)
        return tuple(sorted(listed, key=lambda each: each.norm != self._params.norm))

    def perturbation(self) -> NDArray[np.float32]:
        """Return the smallest perturbation, or the largest step if none changes the caption."""
        if self.best:
            return self.best.perturbation
        attack, norm = self._attack, self._params.norm
        return fgsm(attack.gradient, attack.pixels, attack.largest(norm), norm)

    def describe(self) -> Generator[None, None, AttackedCaption]:
        """Describe the caption under the smallest perturbation, also of the rounded image."""
        model, words = self._attack.subject.model, self._attack.subject.words
        best, perturbation = self.best, self.perturbation()
        after = best.tokens if best else words
        yield
        pixels = self._attack.pixels
        rounded = self._attack.evaluate(np.rint(pixels + perturbation) - pixels)
        whole = yield from self._whole_levels(perturbation)
        epsilon = best.epsilon if best else self._attack.largest(self._params.norm)
        texts = model.wording.texts
        return AttackedCaption(
            attack=(best.attack if best else "") or "fgsm",
            norm=self._params.norm,
            epsilon=epsilon,
            clean=model.text(words),
            attacked=model.text(after),
            diff=diff_words(texts(words), texts(after)),
            rounding=Rounding(model.text(rounded.tokens), rounded.reached, whole),
        )

    def change_harmlessly(
        self, random: np.random.Generator
    ) -> Generator[None, None, tuple[HarmlessChange, ...]]:
        """Caption the image after each harmless change."""
        model, pixels = self._attack.subject.model, self._attack.subject.pixels
        changes = []
        for name, change in HARMLESS.items():
            yield
            found = self._goal.evaluate(model.encode_pixels(change(pixels, random)[None])[0])
            changes.append(HarmlessChange(name, model.text(found.tokens), found.reached))
        return tuple(changes)

    def _whole_levels(self, perturbation: NDArray[np.float32]) -> Generator[None, None, int | None]:
        pixels, largest = self._attack.pixels, self._attack.largest("linf")
        for levels in _WHOLE_LEVELS:
            if levels > largest:
                break
            yield
            moved = np.clip(pixels + levels * np.sign(perturbation), 0, WHITE)
            if self._attack.evaluate(moved - pixels).reached:
                return levels
        return None
