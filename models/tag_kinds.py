"""The kinds of objects that have a tag: a table of ImageNet classes and words. Needs no Keras."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "calibration" / "imagenet_tags.txt"

_NO_TAG = "-"


@dataclass(frozen=True, slots=True)
class TagKind:
    """A kind of object that has a tag."""

    name: str
    """The tag: an everyday name, lower case."""
    classes: tuple[int, ...]
    """Its ImageNet classes, ascending."""
    words: frozenset[str]
    """The words and phrases that mention it in captions."""


@cache
def tag_kinds() -> tuple[TagKind, ...]:
    """Return every kind of object that has a tag, in the order of the table."""
    return tuple(_read_kinds(_TABLE.read_text(encoding="utf-8")))


def _read_kinds(table: str) -> Iterator[TagKind]:
    for line in table.splitlines():
        if line and not line.startswith("#"):
            name, classes, words = line.split(" | ")
            if name != _NO_TAG:
                yield TagKind(name, _read_classes(classes), frozenset(words.split(", ")))


def _read_classes(text: str) -> tuple[int, ...]:
    """Parse "3, 5-7" as 3, 5, 6, 7."""
    bounds = (part.partition("-") for part in text.split(", "))
    return tuple(
        number for first, _, last in bounds for number in range(int(first), int(last or first) + 1)
    )
