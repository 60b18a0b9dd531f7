from inference.concepts.survey import CaptionSurvey, choose_words
from models.language import SPECIAL_WORDS


def test_frequent_object_words_are_chosen_first() -> None:
    names = (*SPECIAL_WORDS, "a", "dog", "runs", "ball", "grass")
    tokens = [(4, 5, 6, 2)] * 50 + [(4, 7, 2)] * 40 + [(4, 8, 8, 2)] * 39
    counts = CaptionSurvey(("",) * len(tokens), tuple(tokens), names).word_counts()

    assert counts == {"dog": 50, "runs": 50, "ball": 40, "grass": 39}
    assert choose_words(counts, 5) == ["dog", "ball", "runs"]
    assert choose_words(counts, 1) == ["dog"]
