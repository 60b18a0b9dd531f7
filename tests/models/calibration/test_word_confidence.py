"""Tests of the confidence of words."""

from typing import Any

import numpy as np
import pytest

from models.calibration.logistic import area_under_curve, fit_grouped_logistic, logistic
from models.calibration.word_confidence import (
    WORD_FEATURES,
    CaptionEvidence,
    WordCalibration,
    WordEvidence,
    runners_up,
)
from models.captioner import BeamCaption

CELLS = np.zeros((2, 2, 3), np.float32)
CELLS[..., 0], CELLS[0, :, 1] = 3.0, 8.0
WORDS = (
    WordEvidence("a", np.log(0.9), (("the", np.log(0.05)),)),
    WordEvidence("man", np.log(0.5), (("boy", np.log(0.25)), ("guy", np.log(0.1)))),
    WordEvidence("rides", np.log(0.7), ()),
)


def evidence(tags: tuple[str, ...] = ()) -> CaptionEvidence:
    return CaptionEvidence.of(WORDS, np.log([0.9, 0.5, 0.7, 0.8]), CELLS, tags)


def test_evidence_is_of_the_words_and_the_cells() -> None:
    found = evidence()

    assert found.content == (1, 2)
    assert found.mean_log_prob == pytest.approx(np.mean(np.log([0.9, 0.5, 0.7, 0.8])))
    assert found.activity == pytest.approx(5.0)
    # Of three channels only one varies, by 4.
    assert found.evenness == pytest.approx(5.0 / (4 / 3))


def test_features_weigh_a_word_with_its_synonyms_against_the_others() -> None:
    man, rides = evidence(("guy",)).word_features()

    named = dict(zip(WORD_FEATURES, man.tolist(), strict=True))
    assert named == pytest.approx(
        {
            "synonyms": np.log(0.6 / 0.4),
            "margin": np.log(0.6 / 0.25),
            "mean_log_prob": evidence().mean_log_prob,
            "activity": 5.0,
            "tagged": 1,
            "has_tags": 1,
            "first": 1,
        }
    )
    assert rides[[0, 4, 5, 6]] == pytest.approx([np.log(0.7 / 0.3), 0, 1, 0])
    assert not evidence().word_features()[:, 4:6].any()


def test_even_images_have_a_bounded_evenness() -> None:
    plain = CaptionEvidence.of((), np.zeros(1), np.ones((2, 2, 3), np.float32), ())

    assert plain.evenness == pytest.approx(1000)
    assert plain.word_features().shape == (0, len(WORD_FEATURES))


def test_confidence_is_the_logistic_of_the_weighted_features_and_the_words_own_offset() -> None:
    calibration = WordCalibration((0.5, 0, 0, 0, 0, 0, 0.25), -1.0, {"man": 0.75})

    expected = [0.5 * np.log(0.6 / 0.4) + 0.25 - 1 + 0.75, 0.5 * np.log(0.7 / 0.3) - 1]
    np.testing.assert_allclose(calibration.confidence(evidence()), logistic(np.array(expected)))


def test_another_number_of_weights_is_refused() -> None:
    with pytest.raises(ValueError, match=f"needs {len(WORD_FEATURES)} weights, not 1"):
        WordCalibration((1.0,), 0.0, {})


def test_runners_up_have_their_probabilities_in_the_search_whatever_the_temperature() -> None:
    logits = np.array([1.0, 2.5, 0.5, 2.0, -1.0])
    order = np.argsort(-logits)[:4]

    def log_probs(temperature: float) -> Any:
        return logits / temperature - np.log(np.exp(logits / temperature).sum())

    token = 3  # Not the most probable.
    found = BeamCaption(
        tokens=np.array([token]),
        log_probs=log_probs(1.7)[[token]],
        alternative_tokens=order[None],
        alternative_log_probs=log_probs(1.7)[order][None],
        search_log_probs=log_probs(1.0)[[token]],
        **dict.fromkeys(("hidden", "beam", "scores", "agreement"), np.zeros(0)),
    )
    texts = ["zero", "one", "", "three", "four"]

    runners = runners_up(found, 0, texts.__getitem__, 1.7)

    assert [text for text, _ in runners] == ["one", "zero"]
    assert [each for _, each in runners] == pytest.approx(log_probs(1.0)[[1, 0]].tolist())


def test_grouped_fit_recovers_weights_and_shrinks_the_offsets_of_rare_groups() -> None:
    random = np.random.default_rng(4)
    groups = np.append(random.integers(0, 4, 20000), np.full(5, 4))
    truth = np.array([1.0, -0.6, 0.3, -0.7, 3.0])
    features = random.normal(2, 3, (len(groups), 2))
    outcomes = random.random(len(groups)) < logistic(features @ [0.4, -0.2] + truth[groups])

    (*weights, offset), offsets = fit_grouped_logistic(features, outcomes, groups, 2.0)

    assert weights == pytest.approx([0.4, -0.2], abs=0.04)
    assert offset + offsets[:4] == pytest.approx(truth[:4], abs=0.12)
    assert abs(offsets[4]) < 2
    # At the optimum no change of an offset gains anything.
    p = logistic(features @ weights + offset + offsets[groups])
    slopes = np.bincount(groups, outcomes - p) - 2.0 * offsets
    np.testing.assert_allclose(slopes, 0, atol=1e-3)


def test_an_item_of_importance_two_counts_as_two_items() -> None:
    random = np.random.default_rng(6)
    features, groups = random.normal(1, 2, (300, 2)), random.integers(0, 4, 300)
    outcomes = random.random(300) < logistic(features @ [0.5, -0.3] + 0.2)
    twice = np.append(np.arange(300), np.arange(100))
    importance = np.where(np.arange(300) < 100, 2.0, 1.0)

    found = fit_grouped_logistic(features, outcomes, groups, 2.0, importance)
    expected = fit_grouped_logistic(features[twice], outcomes[twice], groups[twice], 2.0)

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)
    plain = fit_grouped_logistic(features, outcomes, groups, 2.0)
    assert abs(found[0] - plain[0]).max() > 1e-3


def test_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(5)
    scores, outcomes = random.integers(0, 9, 200).astype(float), random.random(200) < 0.3
    scores += outcomes

    pairs = [(a > b) + (a == b) / 2 for a in scores[outcomes] for b in scores[~outcomes]]
    assert area_under_curve(scores, outcomes) == pytest.approx(np.mean(pairs))
    assert area_under_curve(scores, np.ones(200, bool)) == 0.5
