from dataclasses import replace

from inference.captioning.caption import Caption, Timing, Word, word_ranks


def make(text: str, probabilities: list[float]) -> Caption:
    words = [Word(w, p, ()) for w, p in zip(text.lower().split(), probabilities, strict=True)]
    return Caption(text, 0.2, tuple(words), (), None, "", False, Timing(1, 1))


def test_words_are_ranked_by_probability_and_equal_ones_share_a_rank() -> None:
    words = make("A man in a shirt", [0.9, 0.2, 0.5, 0.9, 0.3]).words

    assert word_ranks(words) == (1, 5, 3, 1, 4)
    assert word_ranks((replace(words[0], prob=None), *words[1:3])) == (None, 2, 1)
