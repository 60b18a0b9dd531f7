"""Tests of the vocabulary."""

from pathlib import Path

import pytest

from models.language.vocabulary import (
    END,
    PAD,
    SPECIAL_WORDS,
    UNKNOWN,
    Vocabulary,
    sentence,
    tokenize,
)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A dog runs .", ["a", "dog", "runs"]),
        ("the dog's ball", ["the", "dog", "'s", "ball"]),
        ("the dog 's ball", ["the", "dog", "'s", "ball"]),
        ("boys' 'so-called' T-shirts", ["boys", "so", "called", "t", "shirts"]),
        ("2 dogs, 3rd place", ["2", "dogs", "3rd", "place"]),
        (" .\t!", []),
    ],
)
def test_caption_is_split_into_lower_cased_words(caption: str, words: list[str]) -> None:
    assert tokenize(caption) == words


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a", "dog", "'s", "ball"], "A dog's ball"),
        (["2", "dogs"], "2 dogs"),
        ([], ""),
    ],
)
def test_sentence_is_written_for_people(words: list[str], text: str) -> None:
    assert sentence(words) == text


def test_words_are_counted_frequent_first_and_then_by_the_alphabet() -> None:
    vocabulary = Vocabulary.count(["red dog", "A dog's a red dog", "rare"], minimum=2)

    assert vocabulary.words == (*SPECIAL_WORDS, "dog", "a", "red")
    assert len(vocabulary) == 7


def test_captions_come_back_from_their_ids() -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog", "'s", "ball"])

    ids = vocabulary.encode("A dog's ball.", 7)

    assert ids == [4, 5, 6, 7, END, PAD, PAD]
    assert sentence(vocabulary.decode(ids)) == "A dog's ball"


def test_long_caption_is_cut_and_has_no_end() -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog"])

    assert vocabulary.encode("a dog a dog", 4) == [4, 5, 4, 5]
    assert vocabulary.encode("a dog a", 4) == [4, 5, 4, END]
    assert vocabulary.decode([4, 5, 4, 5]) == ["a", "dog", "a", "dog"]


def test_word_that_is_not_in_it_is_unknown() -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog"])

    assert vocabulary.encode("a zebra", 3) == [4, UNKNOWN, END]
    # A special word's spelling in a caption is no special word.
    assert vocabulary.encode("<end>", 2) == [UNKNOWN, END]


@pytest.mark.parametrize("stop", [END, PAD])
def test_decoding_stops_at_the_end_or_the_padding(stop: int) -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog"])

    assert vocabulary.decode([4, stop, 5]) == ["a"]


def test_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    Vocabulary([*SPECIAL_WORDS, "dog", "'s"]).write(path)

    assert path.read_bytes() == b"<pad>\n<start>\n<end>\n<unk>\ndog\n's\n"
    assert Vocabulary.read(path).words == (*SPECIAL_WORDS, "dog", "'s")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must begin with <pad>, <start>, <end>, <unk>"),
        (b"<pad>\n<start>\n<end>\n", "must begin with"),
        (b"<start>\n<pad>\n<end>\n<unk>\ndog\n", "must begin with"),
        (b"<pad>\n<start>\n<end>\n<unk>\ndog\na\ndog\n", "holds the word 'dog' twice"),
        (b"\xff\xfe<pad>\n", "utf-8"),
    ],
)
def test_malformed_file_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=problem):
        Vocabulary.read(path)


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Vocabulary.read(tmp_path / "vocabulary.txt")
