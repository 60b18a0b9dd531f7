"""Work that takes long, in slices, and how far it is, as whoever waits for it is told."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

_At = TypeVar("_At")
_Told = TypeVar("_Told")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Step:
    """A point on the way."""

    done: float
    """Share of the work, in 0..1; grows with the time that the work takes, as near as is known."""
    doing: str
    """What is done next, for people, in a few words: "Searching for the smallest change"."""


def finish(work: Generator[object, None, _Result]) -> _Result:
    """Do the work to its end."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: _Result = done.value
            return result


def retold(
    work: Generator[_At, None, _Result], tell: Callable[[_At], _Told]
) -> Generator[_Told, None, _Result]:
    """Do the same work, and tell otherwise how far it is."""
    while True:
        try:
            at = next(work)
        except StopIteration as done:
            result: _Result = done.value
            return result
        yield tell(at)
