"""Survey of a captioner's captions of training images: which words it uses, and in which images."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts.findings import MIN_SCENES
from models.datasets import Dataset
from models.language import PAD, SPECIAL_WORDS, content_words
from models.word_kinds import word_kind

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CaptionSurvey:
    """Images with their captions."""

    names: tuple[str, ...]
    """Names of the dataset's images, in random order."""
    tokens: tuple[Tokens, ...]
    """The caption of each, with its end token unless it was cut."""
    vocabulary: tuple[str, ...]
    """The captioner's words, each of which is a token."""

    def word_counts(self) -> Counter[str]:
        """Count the captions that contain each content word."""
        return Counter(
            word
            for tokens in self.tokens
            for word in {self.vocabulary[token] for token in tokens}
            if word not in SPECIAL_WORDS and content_words(word)
        )

    def indices_with(self, word: str) -> list[int]:
        """Return the indices of the images with the word in their caption."""
        token = self.vocabulary.index(word)
        return [index for index, tokens in enumerate(self.tokens) if token in tokens]


def caption_dataset(
    model: CaptionModel, dataset: Dataset, names: Sequence[str], cache: Path | None
) -> Iterator[Tokens]:
    """Caption images of a dataset one by one.

    Args:
        model: The captioner.
        dataset: Holds the images.
        names: Names of the images.
        cache: File of this captioner's earlier captions, one a line; new ones are appended.

    Yields:
        The tokens of each caption, in the order of the names.

    Raises:
        models.datasets.DatasetError: If an image cannot be read.
        OSError: If the file cannot be read or written.
    """
    known = _read_cache(cache) if cache else {}
    for name in names:
        if name not in known:
            pixels = model.preprocess(dataset.image(name))
            known[name] = _caption_tokens(model, pixels)
            if cache:
                with cache.open("a", encoding="utf-8") as file:
                    file.write(f"{json.dumps([name, known[name]])}\n")
        yield known[name]


def choose_words(counts: Counter[str], limit: int) -> list[str]:
    """Choose the words to fit: the most frequent ones in enough captions, object words first.

    Args:
        counts: See `CaptionSurvey.word_counts`.
        limit: Maximum number of words.
    """
    enough = [word for word, count in counts.items() if count >= MIN_SCENES]
    enough.sort(key=lambda word: (word_kind(word) != "object", -counts[word], word))
    return enough[:limit]


def _caption_tokens(model: CaptionModel, pixels: NDArray[np.uint8]) -> Tokens:
    """Caption an image, at any confidence; return its tokens without padding."""
    tokens = model.search(model.encode([pixels])).tokens[0]
    return tuple(int(token) for token in tokens[tokens != PAD])


def _read_cache(cache: Path) -> dict[str, Tokens]:
    if not cache.is_file():
        return {}
    lines = cache.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):  # The last write was interrupted.
        cache.write_text("".join(lines[:-1]), encoding="utf-8")
    complete = [json.loads(line) for line in lines if line.endswith("\n")]
    return {name: tuple(tokens) for name, tokens in complete}
