"""The measurements of one picture: each word of its caption, by each method and baseline.

What was measured so far, so that a run that was stopped goes on where it was.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.explanations import Target
from inference.explanations.methods import METHODS
from inference.explanations.subject import Subject
from inference.faithfulness.cells import Cells, Order, at_random, by_importance, from_centre
from inference.faithfulness.curves import area, captions_without, curves, is_gone
from inference.progress import finish
from inference.word_kinds import WordKind, word_kind
from models.language import END, PAD

RANDOM, CENTRE = "random", "centre"

RANDOM_ORDERS = 5
"""The random baseline is the mean of so many orders."""


@dataclass(frozen=True, slots=True)
class Said:
    """A picture with its caption, measured or to be measured."""

    picture: NDArray[np.uint8]
    """RGB, uint8 [side, side, 3], of the captioner's size."""
    tokens: tuple[int, ...]
    """The caption's, with its end if it was not cut."""
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeasuredWord:
    """What became of one word."""

    text: str
    kind: WordKind
    prob: float
    """In the whole picture."""
    deletion: dict[str, list[float]]
    """p(word) at each of `curves.shares`, by method and baseline."""
    insertion: dict[str, list[float]]
    gone: dict[str, float]
    """How often the caption no longer says it, in 0..1, by method and baseline; of object words."""

    def deletion_area(self, name: str) -> float:
        """Area under the deletion curve of a method or baseline."""
        return float(area(np.array(self.deletion[name])))

    def insertion_area(self, name: str) -> float:
        """Area under the insertion curve of a method or baseline."""
        return float(area(np.array(self.insertion[name])))


@dataclass(frozen=True, slots=True)
class MeasuredPicture:
    """What became of the words of one picture."""

    caption: str
    words: tuple[MeasuredWord, ...]


def cells_of(model: CaptionModel) -> Cells:
    """The cells that the captioner's grid makes of a picture."""
    rows, columns = model.captioner.encoder.output_shape[1:3]
    return Cells(rows, columns, model.image_size)


def caption(model: CaptionModel, picture: NDArray[np.uint8]) -> Said:
    """Caption a picture of the captioner's size, sure or not."""
    tokens = model.search(model.encode([picture])).tokens[0]
    kept = tuple(int(token) for token in tokens[tokens != PAD])
    names = model.captioner.vocabulary.words
    return Said(picture, kept, tuple(names[token] for token in kept if token != END))


def explain(subject: Subject, method: str, index: int) -> NDArray[np.float64]:
    """Explain a word by a method of `METHODS`: its map cell by cell, [cells]."""
    found = finish(METHODS[method].explain(subject, Target("word", index)))
    return cells_of(subject.model).read(found)


def object_maps(model: CaptionModel, said: Said, method: str) -> list[NDArray[np.float64]]:
    """Explain every object word of a caption by what the captioner is now, see `explain`."""
    subject = Subject(model, said.picture, said.tokens)
    return [
        explain(subject, method, index)
        for index, word in enumerate(said.words)
        if word_kind(word) == "object"
    ]


def measure(
    model: CaptionModel, said: Said, methods: Sequence[str], random: np.random.Generator
) -> MeasuredPicture:
    """Measure all words for objects, and one of each other kind, as a comparison.

    Args:
        model: The captioner.
        said: The picture and its caption.
        methods: Names of `METHODS`.
        random: Draws the random baseline, breaks ties, and chooses the words of other kinds.
    """
    cells = cells_of(model)
    shared = {
        CENTRE: [from_centre(cells, random)],
        RANDOM: [at_random(cells, random) for _ in range(RANDOM_ORDERS)],
    }
    baselines = {name: _Tried(model, said, orders, cells) for name, orders in shared.items()}
    subject = Subject(model, said.picture, said.tokens)
    words = []
    for index in _chosen(said.words, random):
        tried = dict(baselines)
        for name in methods:
            order = by_importance(explain(subject, name, index), random)
            tried[name] = _Tried(model, said, [order], cells)
        words.append(_measured(said, index, tried))
    return MeasuredPicture(" ".join(said.words), tuple(words))


class _Tried:
    """What some orders of the cells do to a caption, on average."""

    def __init__(
        self, model: CaptionModel, said: Said, orders: Sequence[Order], cells: Cells
    ) -> None:
        found = curves(model, said.picture, said.tokens, orders, cells)
        self.deletion = np.mean([each.deletion for each in found], axis=0)
        self.insertion = np.mean([each.insertion for each in found], axis=0)
        self._captions = captions_without(model, said.picture, orders, cells)

    def gone(self, word: str) -> float:
        return float(np.mean([is_gone(word, caption) for caption in self._captions]))


def _chosen(words: Sequence[str], random: np.random.Generator) -> list[int]:
    """Places of all object words, and of one word of each other kind."""
    places: dict[WordKind, list[int]] = {"object": [], "other": [], "function": []}
    for place, word in enumerate(words):
        places[word_kind(word)].append(place)
    rest = [int(random.choice(places[kind])) for kind in ("other", "function") if places[kind]]
    return [*places["object"], *rest]


def _measured(said: Said, index: int, tried: dict[str, _Tried]) -> MeasuredWord:
    word = said.words[index]
    kind = word_kind(word)
    return MeasuredWord(
        text=word,
        kind=kind,
        prob=_rounded(tried[RANDOM].deletion[0, index]),
        deletion={name: _points(each.deletion[:, index]) for name, each in tried.items()},
        insertion={name: _points(each.insertion[:, index]) for name, each in tried.items()},
        gone={name: each.gone(word) for name, each in tried.items()} if kind == "object" else {},
    )


def _points(curve: NDArray[np.float64]) -> list[float]:
    return [_rounded(value) for value in curve]


def _rounded(value: float) -> float:
    return round(float(value), 5)


class Journal:
    """A file of measured pictures in their order, one a line, under a line that says of what run.

    The last line may be cut off: that picture is measured again.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        """Go on with the file if it is of the same run, and begin it anew otherwise.

        Args:
            path: The file.
            run: All that decides what is measured, as JSON values.

        Raises:
            OSError: If the file cannot be read or written.
        """
        self._path = path
        heading, self.pictures = _read(path)
        if heading != run:
            self.pictures = []
        lines = [run, *map(asdict, self.pictures)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")

    def add(self, picture: MeasuredPicture) -> None:
        """Note the next picture."""
        self.pictures.append(picture)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(asdict(picture))}\n")


def _read(path: Path) -> tuple[Any, list[MeasuredPicture]]:
    if not path.is_file():
        return None, []
    heading, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or ["null\n"]
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return json.loads(heading), [
        MeasuredPicture(each["caption"], tuple(MeasuredWord(**word) for word in each["words"]))
        for each in whole
    ]
