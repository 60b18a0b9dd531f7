"""What a captioner says of training pictures: which words it really uses, and of which pictures."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.concepts.bank import ENOUGH_SCENES
from inference.faithfulness.word_kinds import word_kind
from models.content_words import content_words
from models.datasets import Dataset
from models.pictures import squeeze
from models.vocabulary import PAD, SPECIAL_WORDS

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Pictures with what is said of them."""

    names: tuple[str, ...]
    """Of the data set's pictures, in an order that was drawn."""
    tokens: tuple[Tokens, ...]
    """Of each one's caption, with its end if it was not cut."""
    vocabulary: tuple[str, ...]

    def counts(self) -> Counter[str]:
        """In how many captions each word of content is said, whatever their number."""
        return Counter(
            word
            for tokens in self.tokens
            for word in {self.vocabulary[token] for token in tokens}
            if word not in SPECIAL_WORDS and content_words(word)
        )

    def saying(self, word: str) -> list[int]:
        """Places of the pictures whose captions say the word."""
        token = self.vocabulary.index(word)
        return [place for place, tokens in enumerate(self.tokens) if token in tokens]


def survey(
    model: CaptionModel, dataset: Dataset, names: Sequence[str], kept: Path | None
) -> Iterator[Tokens]:
    """Caption pictures one by one.

    Args:
        model: The captioner.
        dataset: Where the pictures are.
        names: Theirs.
        kept: A file to go on with, of the same captioner, and to keep captions in; one a line.

    Yields:
        The tokens of each caption, in the order of the names.

    Raises:
        models.datasets.DatasetError: If a picture cannot be read.
        OSError: If the file cannot be read or written.
    """
    known = _read(kept) if kept else {}
    for name in names:
        if name not in known:
            known[name] = caption(model, squeeze(dataset.image(name), model.image_size))
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(f"{json.dumps([name, known[name]])}\n")
        yield known[name]


def caption(model: CaptionModel, pixels: NDArray[np.uint8]) -> Tokens:
    """Caption a picture, sure or not: its tokens, without padding."""
    tokens = model.search(model.encode([pixels])).tokens[0]
    return tuple(int(token) for token in tokens[tokens != PAD])


def choose_words(counts: Counter[str], count: int) -> list[str]:
    """Choose the words to fit: those said of enough pictures, words for things before others.

    Args:
        counts: Of `Survey.counts`.
        count: Words at most.

    Returns:
        The most frequent ones; as many as there are.
    """
    enough = [word for word, said in counts.items() if said >= ENOUGH_SCENES]
    enough.sort(key=lambda word: (word_kind(word) != "object", -counts[word], word))
    return enough[:count]


def _read(kept: Path) -> dict[str, Tokens]:
    if not kept.is_file():
        return {}
    lines = kept.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):  # It was cut off.
        kept.write_text("".join(lines[:-1]), encoding="utf-8")
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return {name: tuple(tokens) for name, tokens in whole}
