"""Tests of reading GloVe files and initialising an embedding from them."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.captioner.decoder import Decoder
from models.language import UNKNOWN, Vocabulary
from models.training.glove import load_glove, read_glove
from tests.models.conftest import SMALL, WORDS

WIDTH = SMALL.embedding


def numbers(word: str) -> list[float]:
    """Return the made-up vector of a word."""
    random = np.random.default_rng(list(word.encode()))
    return [round(float(x), 4) for x in random.normal(0.1, 0.5, WIDTH)]


def line(word: str, end: bytes = b"\n") -> bytes:
    return " ".join([word, *map(str, numbers(word))]).encode() + end


WriteFile = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    def write_file(content: bytes) -> Path:
        path = tmp_path / "vectors.txt"
        path.write_bytes(content)
        return path

    return write_file


def test_vectors_of_the_requested_words_are_read(write: WriteFile) -> None:
    path = write(b"".join(map(line, ["the", "dog", ",", "'s", "2", "zebra"])))

    found = read_glove(path, ["2", "dog", "unknown", "'s"], WIDTH)

    assert list(found) == ["2", "dog", "'s"]
    for word, vector in found.items():
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, numbers(word), rtol=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        b"2 16\n" + line("a") + line("dog"),
        b"2 16 \n" + line("a", b" \n") + line("dog", b" \n"),
        line("a", b"\r\n") + line("dog", b"\r\n"),
        line("a") + line("dog", b""),
        line("a") + line(". . .") + line("at name@domain.com") + line("dog"),
        line("a") + line("red dog") + line("dog ball") + line("dog"),
        line("a")
        + b"d\xffg"
        + line("x")[1:]
        + "hündin\u2028".encode()
        + line("x")[1:]
        + line("dog"),
        line("a") + line("Dog") + line("dog") + b"dog" + line("later")[5:],
        line(", ,") + line("a") + line("dog"),
    ],
    ids=[
        "word2vec's header",
        "trailing spaces",
        "CRLF",
        "no final line ending",
        "words with spaces",
        "words next to words with spaces",
        "words that are not UTF-8 or contain a line separator",
        "a repeated word",
        "a first word with spaces",
    ],
)
def test_variants_of_published_files_are_read(write: WriteFile, content: bytes) -> None:
    found = read_glove(write(content), ["dog", "a"], WIDTH)

    assert list(found) == ["dog", "a"]
    for word, vector in found.items():
        np.testing.assert_allclose(vector, numbers(word), rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a GloVe text file"),
        (b"PK\x03\x04 of a zip file", "is not a GloVe text file"),
        (b"the\ndog\n", "is not a GloVe text file"),
        (b"x" * 3_000_000, "is not a GloVe text file"),
        (line("cat"), "none of the 2 words"),
        (b"dog 0.5 0.5\n", r"vectors of 2 numbers.* has 16; set embedding = 2,"),
        (b"400000 100\n" + line("dog"), "vectors of 100 numbers.*set embedding = 100"),
        (
            line("dog") + line("a")[:40],
            "line 2 is not a word and 16 numbers; the file may be truncated",
        ),
        (b"1 16\n" + line("dog")[:40], "line 2 is not a word"),
        (line("a") + line("dog", b" 0.5\n"), "line 2 is not a word and 16 numbers"),
        (line("a") + b"\n" + line("dog"), "line 2 is not a word and 16 numbers"),
        (line("a") + line("dog").replace(b" 0.", b" 0,"), "line 2: could not convert"),
        (line("a") + b"dog" + b" 0.1" * 15 + b" nan\n", "line 2 has a number that is not finite"),
    ],
)
def test_invalid_file_is_refused_in_one_line(
    write: WriteFile, content: bytes, problem: str
) -> None:
    path = write(content)

    with pytest.raises(ValueError, match=problem) as refused:
        read_glove(path, ["dog", "a"], WIDTH)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"none\.txt"):
        read_glove(tmp_path / "none.txt", ["dog"], WIDTH)


def test_large_file_is_read_line_by_line(write: WriteFile) -> None:
    path = write(b"".join(line(f"word{i}") for i in range(20_000)) + line("dog"))
    tracemalloc.start()
    try:
        assert list(read_glove(path, ["dog"], WIDTH)) == ["dog"]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < path.stat().st_size / 10


@pytest.fixture
def decoder() -> Decoder:
    """A decoder with its initial weights."""
    made = Decoder(SMALL)
    made.build_for(12)
    return made


def embedded(decoder: Decoder) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.asarray(decoder.embedding.embeddings).copy()


def test_embedding_is_initialised_with_the_vectors_at_its_own_scale(
    write: WriteFile, decoder: Decoder
) -> None:
    before = embedded(decoder)
    known = ["dog", "'s", "ball", "runs"]
    path = write(b"".join(map(line, [*known, "zebra", "<unk>", "<pad>"])))

    assert load_glove(decoder, Vocabulary(WORDS), path) == 4

    after = embedded(decoder)
    rows = [WORDS.index(word) for word in known]
    others = [row for row in range(len(WORDS)) if row not in rows]
    np.testing.assert_array_equal(after[others], before[others])
    assert UNKNOWN in others
    # All are shifted and scaled alike, so that similarities between words are preserved.
    vectors = np.array([numbers(word) for word in known])
    assert np.corrcoef(after[rows].ravel(), vectors.ravel())[0, 1] > 0.99999
    assert after[rows].std() == pytest.approx(before.std(), rel=1e-3)
    assert after[rows].mean() == pytest.approx(before.mean(), abs=1e-5)


def test_error_for_another_dimension_names_the_setting(write: WriteFile, decoder: Decoder) -> None:
    before = embedded(decoder)

    with pytest.raises(ValueError, match="embedding has 16; set embedding = 3, or give"):
        load_glove(decoder, Vocabulary(WORDS), write(b"dog 0.1 0.2 0.3\n"))
    np.testing.assert_array_equal(embedded(decoder), before)


def test_equal_vectors_are_refused(write: WriteFile, decoder: Decoder) -> None:

    with pytest.raises(ValueError, match="are equal"):
        load_glove(decoder, Vocabulary(WORDS), write(b"dog" + b" 0.0" * 16 + b"\n"))
