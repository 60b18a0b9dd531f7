from hypothesis import given
from hypothesis import strategies as st

from inference.adversarial.findings import WordEdit, diff_words, edit_count, kept_places

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
