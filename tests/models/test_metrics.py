"""Tests of the metrics against pycocoevalcap called directly, and computed by hand."""

import math
from dataclasses import asdict

import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from models.metrics import score

REFERENCES = {
    "dog": ["a brown dog runs on the grass", "the dog is running", "a dog plays outside"],
    "boy": ["a boy jumps into the pool", "a child jumps into blue water"],
    "car": ["a red car drives down the road", "a car on a road", "the car is red"],
}


def test_scores_equal_those_of_pycocoevalcap() -> None:
    captions = {
        "dog": "a dog runs on the grass",
        "boy": "a man jumps into the pool",
        "car": "a red bus on a road",
    }
    candidates = {name: [caption] for name, caption in captions.items()}

    scores = score(captions, REFERENCES)

    bleu = Bleu(4).compute_score(REFERENCES, candidates, verbose=0)[0]
    assert [scores.bleu_1, scores.bleu_2, scores.bleu_3, scores.bleu_4] == pytest.approx(bleu)
    assert scores.rouge_l == pytest.approx(Rouge().compute_score(REFERENCES, candidates)[0])
    assert scores.cider == pytest.approx(Cider().compute_score(REFERENCES, candidates)[0])
    assert len(set(asdict(scores).values())) == 6, "so that no two can be swapped"


def test_bleu_by_hand() -> None:
    # 3 of 4 words and 1 of 3 pairs are in the reference, whose 5 words make the caption short.
    scores = score({"a": "the dog runs home"}, {"a": ["the dog then runs fast"]})

    brevity = math.exp(1 - 5 / 4)
    assert scores.bleu_1 == pytest.approx(brevity * 3 / 4, rel=1e-6)
    assert scores.bleu_2 == pytest.approx(brevity * math.sqrt(3 / 4 * 1 / 3), rel=1e-6)
    assert scores.bleu_3 == pytest.approx(0, abs=1e-4)


def test_rouge_l_by_hand() -> None:
    # The longest common subsequence is "the dog runs": precision 3/4, recall 3/5, beta 1.2.
    scores = score({"a": "the dog runs home"}, {"a": ["the dog then runs fast"]})

    precision, recall, beta = 3 / 4, 3 / 5, 1.2
    expected = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    assert scores.rouge_l == pytest.approx(expected)


def test_captions_that_repeat_the_only_reference_score_highest() -> None:
    captions = {"a": "a dog runs on grass", "b": "two boys swim in water"}

    scores = score(captions, {name: [caption] for name, caption in captions.items()})

    assert scores.bleu_4 == pytest.approx(1)
    assert scores.rouge_l == pytest.approx(1)
    assert scores.cider == pytest.approx(10)


def test_case_and_punctuation_do_not_matter() -> None:
    plain = score({"a": "a dog s ball", "b": "a cat"}, {"a": ["the dog s ball"], "b": ["a cat"]})
    typed = score(
        {"a": "A dog's ball!", "b": "a, CAT"}, {"a": ["The dog 's ball ."], "b": ["A cat."]}
    )

    assert typed == plain


def test_empty_caption_scores_nothing() -> None:
    scores = score({"a": "", "b": "a cat"}, {"a": ["the dog runs"], "b": ["a cat"]})

    assert scores.rouge_l == pytest.approx(0.5)
    assert score({"a": ""}, {"a": ["a dog"]}).bleu_1 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("captions", "references"),
    [({}, {}), ({"a": "a dog"}, {}), ({"a": "a dog"}, {"a": ["a dog"], "b": ["a cat"]})],
)
def test_captions_and_references_of_different_images_are_rejected(
    captions: dict[str, str], references: dict[str, list[str]]
) -> None:
    with pytest.raises(ValueError, match="must have the same image names, at least one"):
        score(captions, references)
