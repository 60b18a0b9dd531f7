"""Maps by a function of the user's own, to measure it beside the captioner's methods."""

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map, Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.method import Work

MapFunction = Callable[..., Any]
"""From an image, RGB, uint8 [S, S, 3] of the captioner's size; or from the image and a word of its
caption; or from the image, the caption and the word: how much each region mattered, an array
[rows, columns] evenly over the image."""

_MOST_ARGUMENTS = 3
_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


class GivenMaps:
    """The maps of a function; negative values count as no support."""

    def __init__(self, function: MapFunction, source: str) -> None:
        """Measure a function.

        Args:
            function: Called with as many of image, caption and word as it requires, see
                `MapFunction`.
            source: What to call it in messages.

        Raises:
            ValueError: If it requires other arguments, or it is no function.
        """
        if not callable(function):
            raise ValueError(f"{source} is no function")
        self.source, self._function = source, function
        self._arguments = _count_arguments(function, source)

    @classmethod
    def load(cls, source: str) -> Self:
        """Import a function.

        Args:
            source: `MODULE:FUNCTION`, the module as it is imported, such as `my_package.my_maps`.

        Raises:
            ValueError: If there is no such function, or it cannot be imported.
        """
        module, _, name = source.partition(":")
        if not module or not name.isidentifier():
            raise ValueError(f"--maps is {source!r}, but must be MODULE:FUNCTION")
        try:
            imported = importlib.import_module(module)
        # A script without a guard may end the process.
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"--maps: {module} cannot be imported ({type(error).__name__}: {error}); name the "
                "module as Python imports it from the current folder"
            ) from error
        found = getattr(imported, name, None)
        if found is None:
            raise ValueError(f"--maps: the module {module} has no {name!r}")
        try:
            return cls(found, source)
        except ValueError as problem:
            raise ValueError(f"--maps: {problem}") from problem

    @property
    def digest(self) -> str:
        """SHA-256 of the file that defines the function; empty if there is none."""
        try:
            file = inspect.getsourcefile(self._function)
        except TypeError:
            return ""
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""

    def explain(self, subject: CaptionedImage, target: Target) -> Work:
        """Call the function for a word.

        Raises:
            ValueError: If it fails, or returns no map.
        """
        yield 0.0
        assert target.index is not None
        caption, word = subject.model.text(subject.tokens), subject.spans[target.index].text
        try:
            image = subject.pixels.copy()
            arguments = {1: (image,), 2: (image, word), 3: (image, caption, word)}
            found = self._function(*arguments[self._arguments])
        except Exception as error:
            raise ValueError(
                f"{self.source} failed for the word {word!r} of {caption!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return Map(np.maximum(self._read(found, word), 0))

    def _read(self, found: Any, word: str) -> NDArray[np.float32]:
        try:
            values, what = np.asarray(found, np.float32), ""
        # Tensors of other frameworks raise errors of their own.
        except Exception as error:
            values, what = np.zeros(0, np.float32), f" ({type(error).__name__}: {error})"
        if values.ndim != 2 or not values.size or not np.isfinite(values).all():
            raise ValueError(
                f"{self.source} returned no map of the word {word!r}{what}; it must return finite "
                "numbers in an array [rows, columns]"
            )
        return values


def _count_arguments(function: MapFunction, source: str) -> int:
    """Return with how many arguments a function is called.

    Raises:
        ValueError: If it requires more than it can be given, or none.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        # Some functions written in C have no signature.
        return _MOST_ARGUMENTS
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return _MOST_ARGUMENTS
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, _EITHER)]
    required = [each for each in places if each.default is each.empty]
    named = [
        each for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    ]
    if named or not 1 <= len(required) <= _MOST_ARGUMENTS:
        raise ValueError(
            f"{source} must take an image; an image and a word; or an image, its caption and a word"
        )
    return len(required)
