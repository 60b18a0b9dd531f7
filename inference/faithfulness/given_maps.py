"""Maps by a function of the user's own, to measure it beside the captioner's methods."""

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.explanations import Map, Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.method import Work

MapFunction = Callable[[NDArray[np.uint8], str, str], Any]
"""From an image, RGB, uint8 [S, S, 3] of the captioner's size, its caption, and a word of the
caption: how much each region mattered, an array [rows, columns] evenly over the image."""


class GivenMaps:
    """The maps of a function; negative values count as no support."""

    def __init__(self, source: str) -> None:
        """Import the function.

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
        if not callable(found):
            raise ValueError(f"--maps: {source} is no function")
        self.source, self._function = source, found

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
            found = self._function(subject.pixels.copy(), caption, word)
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
