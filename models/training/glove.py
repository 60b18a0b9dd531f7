"""Word vectors from a GloVe text file, to begin the decoder's embedding with.

Pennington, Socher and Manning, "GloVe: Global Vectors for Word Representation" (EMNLP 2014). A
line is a word and its numbers, apart by single blanks. Of the files in circulation some begin with
a line of word2vec's (how many words, how many numbers), some have words with blanks in them (840B),
and some have words that are no UTF-8.
"""

from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np
from numpy.typing import NDArray

from models.captioner import Decoder
from models.language import SPECIAL_WORDS, Vocabulary

_LONGEST_LINE = 1 << 20
"""Bytes; longer than any line of any such file, and short enough to read of a file of none."""


def load_glove(decoder: Decoder, vocabulary: Vocabulary, path: Path) -> int:
    """Begin the decoder's embedding with the vectors of a file.

    The vectors are shifted and scaled to the mean and the standard deviation that the embedding was
    initialised with. It is tied with the output, so that vectors of GloVe's own size (ten times as
    large) would make the untrained decoder as sure of its words as a trained one, and wrong. Words
    that the file lacks keep their initial vectors, and so have the same size.

    Args:
        decoder: Built, not yet trained.
        vocabulary: The decoder's words. The special ones are never looked up.
        path: A GloVe text file.

    Returns:
        How many of the vocabulary's words the file has.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no GloVe file or is cut off, has vectors of another width than the
            embedding's, or none of the words.
    """
    width = decoder.config.embedding
    found = read_glove(path, vocabulary.words[len(SPECIAL_WORDS) :], width)
    values = keras.ops.convert_to_numpy(decoder.embedding.embeddings).copy()
    vectors = np.stack(list(found.values()))
    spread = vectors.std()
    if not spread:
        raise ValueError(f"{path}: all numbers of the vocabulary's words are the same")
    rows = [row for row, word in enumerate(vocabulary.words) if word in found]
    values[rows] = (vectors - vectors.mean()) / spread * values.std() + values.mean()
    decoder.embedding.embeddings.assign(values)
    return len(found)


def read_glove(path: Path, words: Collection[str], width: int) -> dict[str, NDArray[np.float32]]:
    """Read the vectors of some words, a line at a time.

    Args:
        path: A GloVe text file.
        words: As they stand in the file, which most often has lower case only.
        width: How many numbers a vector is expected to have.

    Returns:
        The vectors, each float32 [width], of those words that the file has, in the order of
        `words`; of a word that stands twice, the first.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no GloVe file or is cut off, has vectors of another width, or none of
            the words. The message names the line.
    """
    wanted = {word.encode(): word for word in words}
    found: dict[str, NDArray[np.float32]] = {}
    with path.open("rb") as file:
        first, numbers = _skip_header(file, path)
        if numbers != width:
            raise ValueError(
                f"{path} has vectors of {numbers} numbers, the decoder's embedding has {width}: "
                f"set embedding = {numbers}, or give the file of {width}"
            )
        for line_number, line in enumerate(file, start=first):
            # Most lines are of no such word: to split them all takes several times as long.
            head, _, rest = line.rstrip(b" \r\n").partition(b" ")
            more = rest.count(b" ") + 1 - width
            if more < 0 or (more and _is_number(rest.partition(b" ")[0])):
                raise ValueError(
                    f"{path}: line {line_number} is not a word and {width} numbers; "
                    "is the file cut off?"
                )
            word = None if more else wanted.get(head)
            if word is not None and word not in found:
                found[word] = _vector(rest, f"{path}: line {line_number}")
    if not found:
        raise ValueError(f"{path} has none of the {len(wanted)} words of the vocabulary")
    return {word: found[word] for word in words if word in found}


def _skip_header(file: BinaryIO, path: Path) -> tuple[int, int]:
    """Go to the first word; return the number of its line, and how many numbers follow it."""
    fields = file.readline(_LONGEST_LINE).rstrip(b" \r\n").split(b" ")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return 2, int(fields[1])
    file.seek(0)
    numbers = len(fields) - 1
    while numbers and not all(map(_is_number, fields[-numbers:])):
        numbers -= 1
    if not numbers:
        raise ValueError(f"{path} is no GloVe text file: line 1 is not a word and its numbers")
    return 1, numbers


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _vector(numbers: bytes, place: str) -> NDArray[np.float32]:
    try:
        vector = np.array([float(number) for number in numbers.split(b" ")], np.float32)
    except ValueError as problem:
        raise ValueError(f"{place}: {problem}") from problem
    if not np.isfinite(vector).all():
        raise ValueError(f"{place} has a number that is not finite")
    return vector
