"""Tests of the vocabulary, tokenization, content words, language statistics and word diffs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.language import (
    END,
    PAD,
    SPECIAL_WORDS,
    UNKNOWN,
    Vocabulary,
    WordEdit,
    content_words,
    diff_words,
    edit_count,
    is_distinct,
    kept_places,
    language_statistics,
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
def test_caption_is_split_into_lower_case_words(caption: str, words: list[str]) -> None:
    assert tokenize(caption) == words


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a", "dog", "'s", "ball"], "A dog's ball"),
        (["2", "dogs"], "2 dogs"),
        ([], ""),
    ],
)
def test_words_are_joined_into_a_sentence(words: list[str], text: str) -> None:
    assert sentence(words) == text


def test_words_are_ordered_by_frequency_then_alphabetically() -> None:
    vocabulary = Vocabulary.count(["red dog", "A dog's a red dog", "rare"], minimum=2)

    assert vocabulary.words == (*SPECIAL_WORDS, "dog", "a", "red")
    assert len(vocabulary) == 7


def test_captions_are_encoded_and_decoded() -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog", "'s", "ball"])

    ids = vocabulary.encode("A dog's ball.", 7)

    assert ids == [4, 5, 6, 7, END, PAD, PAD]
    assert sentence(vocabulary.decode(ids)) == "A dog's ball"


def test_long_caption_is_truncated_and_has_no_end() -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog"])

    assert vocabulary.encode("a dog a dog", 4) == [4, 5, 4, 5]
    assert vocabulary.encode("a dog a", 4) == [4, 5, 4, END]
    assert vocabulary.decode([4, 5, 4, 5]) == ["a", "dog", "a", "dog"]


def test_word_outside_the_vocabulary_is_unknown() -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog"])

    assert vocabulary.encode("a zebra", 3) == [4, UNKNOWN, END]
    # A special token's spelling in a caption is not a special token.
    assert vocabulary.encode("<end>", 2) == [UNKNOWN, END]


@pytest.mark.parametrize("stop", [END, PAD])
def test_decoding_stops_at_the_end_or_the_padding(stop: int) -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "dog"])

    assert vocabulary.decode([4, stop, 5]) == ["a"]


def test_file_is_written_and_read(tmp_path: Path) -> None:
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
        (b"<pad>\n<start>\n<end>\n<unk>\ndog\na\ndog\n", "contains the word 'dog' twice"),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A dog runs through the grass", "The dog is running in grass"),
        ("Two men sitting on a bench", "Two men sit on the bench"),
        ("A woman carries a bag", "The woman carrying her bag"),
        ("People stand next to the man's car", "People are standing beside a man car"),
        ("A boy rides a bike", "The boy is riding his bike"),
        ("A girl jumped", "The girl is jumping"),
    ],
)
def test_function_words_and_inflections_do_not_matter(one: str, other: str) -> None:
    assert content_words(one) == content_words(other) != frozenset()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A dog runs", "Two dogs run"),
        ("A dog runs", "A cat runs"),
        ("A man in a red shirt", "A man in a blue shirt"),
        ("A boy sits", "A boy jumps"),
        ("A man", "A man and a dog"),
        ("A man swims", "A man sings"),
    ],
)
def test_other_object_action_colour_or_number_changes_the_content_words(
    one: str, other: str
) -> None:
    assert content_words(one) != content_words(other)


def test_words_of_phrases_and_function_words_may_stand_twice() -> None:
    assert all(map(is_distinct, ["white", "dog", "sunglasses", "two", "eating"]))
    for phrase in ("side by side", "hand in hand", "face to face", "a man and a", "<end>"):
        assert not is_distinct(phrase.split()[0])


def test_empty_caption_has_no_content_words() -> None:
    assert content_words("") == content_words("It is in the") == frozenset()


def test_language_of_captions_is_measured() -> None:
    found = language_statistics(
        ["A dog runs on grass", "A dog runs on grass", "Two boys in a", "A red ball"]
    )

    assert found.distinct == pytest.approx(3 / 4)
    assert found.words == pytest.approx((5 + 5 + 4 + 3) / 4)
    assert found.bad_endings == pytest.approx(1 / 4)


@pytest.mark.parametrize("caption", ["A dog runs on the", "A man with his", "A boy is", ""])
def test_incomplete_caption_has_a_bad_ending(caption: str) -> None:
    assert language_statistics([caption]).bad_endings == 1


@pytest.mark.parametrize("caption", ["A dog swims", "A man sits on a bench", "A girl looks on it"])
def test_complete_caption_has_no_bad_ending(caption: str) -> None:
    assert language_statistics([caption]).bad_endings == 0


CAPTIONS = st.lists(st.sampled_from(["a", "dog", "cat", "runs", "grass"]), max_size=8)


def test_each_word_is_kept_substituted_inserted_or_deleted() -> None:
    before = ["a", "dog", "runs", "through", "the", "grass"]
    after = ["a", "small", "cat", "runs", "through", "grass"]

    assert diff_words(before, after) in (
        (
            WordEdit("kept", "a", "a"),
            WordEdit("substituted", "dog", "small"),
            WordEdit("inserted", "", "cat"),
            WordEdit("kept", "runs", "runs"),
            WordEdit("kept", "through", "through"),
            WordEdit("deleted", "the", ""),
            WordEdit("kept", "grass", "grass"),
        ),
        (
            WordEdit("kept", "a", "a"),
            WordEdit("inserted", "", "small"),
            WordEdit("substituted", "dog", "cat"),
            WordEdit("kept", "runs", "runs"),
            WordEdit("kept", "through", "through"),
            WordEdit("deleted", "the", ""),
            WordEdit("kept", "grass", "grass"),
        ),
    )


@given(CAPTIONS, CAPTIONS)
def test_edits_transform_one_caption_into_the_other(before: list[str], after: list[str]) -> None:
    edits = diff_words(before, after)

    assert [edit.before for edit in edits if edit.kind != "inserted"] == before
    assert [edit.after for edit in edits if edit.kind != "deleted"] == after
    for edit in edits:
        assert (edit.kind == "kept") == (edit.before == edit.after)


@given(CAPTIONS, CAPTIONS)
def test_edit_count_is_the_levenshtein_distance(before: list[str], after: list[str]) -> None:
    assert edit_count(diff_words(before, after)) == distance(tuple(before), tuple(after))
    assert edit_count(diff_words(after, before)) == edit_count(diff_words(before, after))


@given(CAPTIONS)
def test_identical_captions_keep_every_word(caption: list[str]) -> None:
    assert kept_places(diff_words(caption, caption)) == frozenset(range(len(caption)))


@given(CAPTIONS, CAPTIONS)
def test_kept_words_are_in_both_captions_in_order(before: list[str], after: list[str]) -> None:
    kept = sorted(kept_places(diff_words(before, after)))

    rest = iter(after)
    assert all(before[place] in rest for place in kept)


def distance(before: tuple[str, ...], after: tuple[str, ...]) -> int:
    """Compute the Levenshtein distance row by row."""
    row = list(range(len(after) + 1))
    for i, word in enumerate(before, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(after, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]
