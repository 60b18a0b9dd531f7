"""Initialisation of the decoder's word embedding from a GloVe text file.

Pennington, Socher and Manning, "GloVe: Global Vectors for Word Representation" (EMNLP 2014). A line
is a word and its numbers, separated by single spaces. Among published files, some start with
word2vec's header line (number of words, number of dimensions), some have words that contain spaces
(840B), and some have words that are not UTF-8.
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
"""Bytes: longer than any line of a GloVe file, and short enough to read from any other file."""


def load_glove(decoder: Decoder, vocabulary: Vocabulary, path: Path) -> int:
    """Initialise the decoder's embedding with the vectors of a file.

    The vectors are shifted and scaled to the mean and the standard deviation of the embedding's
    random initialisation. The embedding is also the output layer, so vectors of GloVe's own scale
    (ten times as large) would make the untrained decoder as confident as a trained one, and wrong.
    Words that the file lacks keep their random vectors, which have the same scale.

    Args:
        decoder: A built, untrained decoder.
        vocabulary: The decoder's vocabulary. Special tokens are not looked up.
        path: A GloVe text file.

    Returns:
        Number of the vocabulary's words that the file has.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a GloVe file or is truncated, has vectors of another dimension than
            the embedding, or has none of the words.
    """
    width = decoder.config.embedding
    found = read_glove(path, vocabulary.words[len(SPECIAL_WORDS) :], width)
    values = keras.ops.convert_to_numpy(decoder.embedding.embeddings).copy()
    vectors = np.stack(list(found.values()))
    spread = vectors.std()
    if not spread:
        raise ValueError(f"{path}: all numbers of the vocabulary's words are equal")
    rows = [row for row, word in enumerate(vocabulary.words) if word in found]
    values[rows] = (vectors - vectors.mean()) / spread * values.std() + values.mean()
    decoder.embedding.embeddings.assign(values)
    return len(found)


def read_glove(path: Path, words: Collection[str], width: int) -> dict[str, NDArray[np.float32]]:
    """Read the vectors of some words, line by line.

    Args:
        path: A GloVe text file.
        words: The words as they occur in the file, which usually is in lower case.
        width: Expected dimension of a vector.

    Returns:
        The vectors, each float32 [width], of those words that the file has, in the order of
        `words`. If a word occurs twice, its first vector.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a GloVe file or is truncated, has vectors of another dimension, or
            has none of the words. The message names the line.
    """
    requested = {word.encode(): word for word in words}
    found: dict[str, NDArray[np.float32]] = {}
    with path.open("rb") as file:
        first, numbers = _skip_header(file, path)
        if numbers != width:
            raise ValueError(
                f"{path} has vectors of {numbers} numbers, but the embedding has {width}; "
                f"set embedding = {numbers}, or give a file with vectors of {width}"
            )
        for line_number, line in enumerate(file, start=first):
            # Most lines are not needed, and splitting all of them takes several times as long.
            head, _, rest = line.rstrip(b" \r\n").partition(b" ")
            more = rest.count(b" ") + 1 - width
            if more < 0 or (more and _is_number(rest.partition(b" ")[0])):
                raise ValueError(
                    f"{path}: line {line_number} is not a word and {width} numbers; "
                    "the file may be truncated, fetch it again"
                )
            word = None if more else requested.get(head)
            if word is not None and word not in found:
                found[word] = _vector(rest, f"{path}: line {line_number}")
    if not found:
        raise ValueError(f"{path} has none of the {len(requested)} words of the vocabulary")
    return {word: found[word] for word in words if word in found}


def _skip_header(file: BinaryIO, path: Path) -> tuple[int, int]:
    """Seek to the first word; return its line number and the dimension of its vector."""
    fields = file.readline(_LONGEST_LINE).rstrip(b" \r\n").split(b" ")
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return 2, int(fields[1])
    file.seek(0)
    numbers = len(fields) - 1
    while numbers and not all(map(_is_number, fields[-numbers:])):
        numbers -= 1
    if not numbers:
        raise ValueError(f"{path} is not a GloVe text file: line 1 is not a word and its numbers")
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
