"""Explanations and checks as jobs of the engine's process."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.engine.jobs import Finished, JobWork
from inference.explanations import Target
from inference.explanations.masking import blank_check
from inference.explanations.method import Method
from inference.explanations.methods import METHODS
from inference.explanations.subject import Subject
from inference.progress import Step, retold

_Result = TypeVar("_Result")


class Explaining:
    """Explains captions of one captioner; jobs on the same picture share what they compute of it.

    One picture is remembered at most.
    """

    def __init__(self, model: CaptionModel) -> None:
        """Explain what this captioner says."""
        self._model = model
        self._subject: Subject | None = None

    def explain(
        self, image: NDArray[np.uint8], tokens: tuple[int, ...], method: str, target: Target
    ) -> JobWork:
        """Compute a map: the answer `explained`.

        Args:
            image: RGB, uint8 [H, W, 3] of any size.
            tokens: The caption's, as `Anchor.tokens`.
            method: A key of `METHODS`.
            target: What to explain.

        Raises:
            ValueError: If there is no such method, or it cannot explain that.
        """
        chosen = _method(method)
        result = yield from retold(chosen.explain(self._about(image, tokens), target), _unnamed)
        return Finished({"type": "explained", "map": result.to_json()})

    def check(
        self, image: NDArray[np.uint8], tokens: tuple[int, ...], method: str, index: int
    ) -> JobWork:
        """Put a word's map to the test: the answer `checked`.

        Args:
            image: As `explain` takes it.
            tokens: As `explain` takes them.
            method: As `explain` takes it.
            index: The word's place.

        Raises:
            ValueError: As `explain` does.
        """
        chosen = _method(method)
        subject = self._about(image, tokens)
        result = yield from retold(chosen.explain(subject, Target("word", index)), _unnamed)
        check = yield from retold(blank_check(subject, result, index), _unnamed)
        return Finished({"type": "checked", "check": check.to_json()})

    def _about(self, image: NDArray[np.uint8], tokens: tuple[int, ...]) -> Subject:
        """The subject that the last job had, if it is the same."""
        self._model.check(image)
        last = self._subject
        same = last and last.tokens == tokens and np.array_equal(last.image, image)
        if last is None or not same:
            last = self._subject = Subject(self._model, image, tokens)
        return last


def _method(name: str) -> Method:
    if name not in METHODS:
        raise ValueError(f"there is no method {name!r}: there are {', '.join(METHODS)}")
    return METHODS[name]


def _unnamed(done: float) -> Step:
    """What a method is doing, its name has said."""
    return Step(done, "")
