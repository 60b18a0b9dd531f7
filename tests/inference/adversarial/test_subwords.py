"""Attacks on a captioner whose words have several tokens."""

from typing import Any

import numpy as np
import pytest

from inference.adversarial import AdversarialFindings, AdversarialParams
from inference.adversarial.analysis import analyse
from inference.adversarial.attack import Attack
from inference.adversarial.goals import AddWord, DropWord, FlipWord, Goal
from inference.adversarial.word_attacks import keyword_goals
from inference.explanations.captioned_image import CaptionedImage
from inference.progress import finish
from models.language import PAD
from tests.inference.conftest import photographs
from tests.support.captioners.subwords import END, PIECES, SIDE, SubwordCaptionModel
from tests.support.oracle.plain_subwords import encode, log_probs, next_logits

CAPTION = tuple(map(PIECES.index, ("a", "snow", "##board", "##er", "'", "s", "dog", "[END]")))
START, STOP = 1, 4
"""The places of "snowboarder", the word at index 1."""
LARGEST = 255.0
QUICK = AdversarialParams(steps=1, draws=1, segments=4, lose="snowboarder")


@pytest.fixture(scope="module")
def subject() -> CaptionedImage:
    return CaptionedImage(SubwordCaptionModel(), photographs(SIDE)[4], CAPTION)


def subwords(subject: CaptionedImage) -> SubwordCaptionModel:
    assert isinstance(subject.model, SubwordCaptionModel)
    return subject.model


def test_a_word_flips_when_another_token_is_likelier_in_one_of_its_places(
    subject: CaptionedImage,
) -> None:
    model, goal = subwords(subject), FlipWord(subject, 1)
    grids = model.encode(list(photographs(SIDE)))

    expected = []
    for grid in grids:
        likeliest = next_logits(model, grid, CAPTION)[START:STOP].argmax(axis=1)
        expected.append(tuple(likeliest) != CAPTION[START:STOP])
    assert goal.flipped(grids).tolist() == expected
    for grid, flipped in zip(grids, expected, strict=True):
        evaluation = goal.evaluate(grid)
        assert evaluation.reached == flipped
        assert (evaluation.tokens == CAPTION[START:STOP]) == (not flipped)


def test_the_objective_of_a_flip_lowers_all_tokens_of_the_word(subject: CaptionedImage) -> None:
    model, (tokens, lowered, raised, _) = subwords(subject), FlipWord(subject, 1)._objective

    assert tokens.tolist() == list(CAPTION[:STOP])
    assert lowered.tolist() == [PAD, *CAPTION[START:STOP]]
    assert raised == PAD
    gradient = Attack(subject, FlipWord(subject, 1), LARGEST).gradient
    step = 0.5 * np.sign(gradient[0])
    before, after = (
        log_probs(model, encode(model, subject.pixels + change), CAPTION)[START:STOP].sum()
        for change in (0 * step, step)
    )
    assert after < before


@pytest.mark.parametrize("goal", [DropWord, FlipWord])
def test_a_word_of_several_tokens_is_removed(
    subject: CaptionedImage, goal: type[DropWord] | type[FlipWord]
) -> None:
    chosen: Goal = DropWord(subject, "snowboarder") if goal is DropWord else FlipWord(subject, 1)
    found = finish(Attack(subject, chosen, LARGEST).fgsm("linf"))

    assert found
    model = subwords(subject)
    attacked = model.encode_pixels(subject.pixels + found.perturbation)[0]
    if goal is DropWord:
        assert "snowboarder" not in model.wording.texts(model.search(attacked[None]).tokens[0])
    else:
        likeliest = next_logits(model, attacked, CAPTION)[START:STOP].argmax(axis=1)
        assert tuple(likeliest) != CAPTION[START:STOP]


def test_the_tokens_of_an_added_word_are_raised_one_after_the_other(
    subject: CaptionedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, goal = subwords(subject), AddWord(subject, "snowman")
    snow, man = PIECES.index("snow"), PIECES.index("##man")

    def evaluate(*pieces: str) -> tuple[bool, int, int, int]:
        caption = [*map(PIECES.index, pieces), END]
        monkeypatch.setattr(model, "_search", lambda *_: caption)
        reached, _, objective, _ = goal.evaluate(subject.grid)
        return reached, objective.raised, objective.first, len(objective.tokens)

    assert evaluate("a", "dog") == (False, snow, 0, 3)
    assert evaluate("a", "snow", "hill") == (False, man, 2, 3)
    assert evaluate("a", "snow") == (False, man, 2, 3)
    assert evaluate("a", "snow", "##man")[0]


def test_a_raised_token_counts_from_its_first_place_on(subject: CaptionedImage) -> None:
    model, man = subwords(subject), PIECES.index("##man")
    tokens = np.array(CAPTION[:3], np.int32)
    objective = AddWord(subject, "snowman").evaluate(subject.grid).objective
    assert (objective.raised, objective.first) == (man, 2)
    np.testing.assert_array_equal(objective.tokens, tokens)

    given = model.attack_gradient(subject.grid, objective)

    def closeness(grid: np.ndarray) -> float:
        logits = next_logits(model, grid, CAPTION[:3])[2]
        return float(logits[man] - np.delete(logits, man).max())

    direction = np.random.default_rng(0).normal(size=subject.grid.shape)
    ahead, behind = (closeness(subject.grid + sign * 1e-4 * direction) for sign in (1, -1))
    assert (given * direction).sum() == pytest.approx((ahead - behind) / 2e-4, rel=1e-2)


def test_keywords_are_words_not_tokens(subject: CaptionedImage) -> None:
    with pytest.raises(ValueError, match="does not contain 'snow'"):
        keyword_goals(subject, AdversarialParams(lose="snow"))
    with pytest.raises(ValueError, match="already contains 'snowboarder'"):
        keyword_goals(subject, AdversarialParams(say="snowboarder"))
    with pytest.raises(ValueError, match="'snowzebra' is not in the captioner's vocabulary"):
        keyword_goals(subject, AdversarialParams(say="snowzebra"))
    goals = keyword_goals(subject, AdversarialParams(say="snowman"))
    assert [(each.kind, each.word) for each in goals] == [("lose", "dog"), ("say", "snowman")]


@pytest.fixture(scope="module")
def findings(subject: CaptionedImage) -> AdversarialFindings:
    return run(subject, QUICK)


def run(subject: CaptionedImage, params: AdversarialParams) -> AdversarialFindings:
    return finish(analyse(subject.model, subject.image, CAPTION, params))


def test_findings_are_of_words(subject: CaptionedImage, findings: AdversarialFindings) -> None:
    model = subwords(subject)
    clean = log_probs(model, encode(model, subject.image), CAPTION)
    assert [word.text for word in findings.words] == ["a", "snowboarder", "'s", "dog"]
    places = [(0, 1), (1, 4), (4, 6), (6, 7)]
    for word, (start, stop) in zip(findings.words, places, strict=True):
        assert word.log_prob == pytest.approx(clean[start:stop].sum(), abs=1e-3)
    assert findings.attacked.clean == "A snowboarder's dog"
    assert not findings.comparison.has_hardened
    assert [each.word for each in findings.keywords] == ["snowboarder"]


def test_same_seed_gives_the_same_findings(
    subject: CaptionedImage, findings: AdversarialFindings
) -> None:
    def values(of: AdversarialFindings) -> dict[str, Any]:
        return {**of.to_json(), "took_s": 0}

    assert values(run(subject, QUICK)) == values(findings)


def test_other_norm_and_a_word_to_add(subject: CaptionedImage) -> None:
    params = QUICK.model_copy(update={"norm": "l2", "say": "SKATEboarder", "seed": 1})

    findings = run(subject, params)

    assert findings.attacked.norm == findings.curve.norm == findings.smallest[0].norm == "l2"
    assert {word.smallest.norm for word in findings.words} == {"l2"}
    say = next(each for each in findings.keywords if each.aim == "say")
    assert say.word == "skateboarder"
    if say.smallest.epsilon is not None:
        assert say.word in say.smallest.caption.lower().split()
