from hypothesis import given
from hypothesis import strategies as st

from inference.adversarial.findings import Edit, diff_words, edit_count, kept_places

CAPTIONS = st.lists(st.sampled_from(["a", "dog", "cat", "runs", "grass"]), max_size=8)


def test_each_word_is_kept_substituted_inserted_or_deleted() -> None:
    before = ["a", "dog", "runs", "through", "the", "grass"]
    after = ["a", "small", "cat", "runs", "through", "grass"]

    assert diff_words(before, after) in (
        (
            Edit("kept", "a", "a"),
            Edit("substituted", "dog", "small"),
            Edit("inserted", "", "cat"),
            Edit("kept", "runs", "runs"),
            Edit("kept", "through", "through"),
            Edit("deleted", "the", ""),
            Edit("kept", "grass", "grass"),
        ),
        (
            Edit("kept", "a", "a"),
            Edit("inserted", "", "small"),
            Edit("substituted", "dog", "cat"),
            Edit("kept", "runs", "runs"),
            Edit("kept", "through", "through"),
            Edit("deleted", "the", ""),
            Edit("kept", "grass", "grass"),
        ),
    )


@given(CAPTIONS, CAPTIONS)
def test_the_edits_lead_from_one_to_the_other(before: list[str], after: list[str]) -> None:
    edits = diff_words(before, after)

    assert [edit.before for edit in edits if edit.kind != "inserted"] == before
    assert [edit.after for edit in edits if edit.kind != "deleted"] == after
    for edit in edits:
        assert (edit.kind == "kept") == (edit.before == edit.after)


@given(CAPTIONS, CAPTIONS)
def test_there_are_as_few_as_a_plain_recursion_finds(before: list[str], after: list[str]) -> None:
    assert edit_count(diff_words(before, after)) == distance(tuple(before), tuple(after))
    assert edit_count(diff_words(after, before)) == edit_count(diff_words(before, after))


@given(CAPTIONS)
def test_a_caption_is_kept_by_itself(caption: list[str]) -> None:
    assert kept_places(diff_words(caption, caption)) == frozenset(range(len(caption)))


@given(CAPTIONS, CAPTIONS)
def test_what_is_kept_is_there_in_both(before: list[str], after: list[str]) -> None:
    kept = sorted(kept_places(diff_words(before, after)))

    rest = iter(after)
    assert all(before[place] in rest for place in kept)


def distance(before: tuple[str, ...], after: tuple[str, ...]) -> int:
    """Levenshtein's, row by row."""
    row = list(range(len(after) + 1))
    for i, word in enumerate(before, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(after, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]
