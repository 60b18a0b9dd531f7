import gc
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from inference.adversarial.analysis import analyse
from inference.adversarial.attack import Attack
from inference.adversarial.findings import AdversarialFindings, AdversarialParams
from inference.progress import Progress
from models.hardening import HARMLESS
from models.language import END, sentence
from tests.support.captioners.lstm import LstmCaptionedImage

QUICK = AdversarialParams(steps=2, draws=2, segments=4, epsilon_most=32, epsilon_compare=0.5)


def finish_with_steps(
    work: Generator[Progress, None, AdversarialFindings],
) -> tuple[list[Progress], AdversarialFindings]:
    steps = []
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture(scope="module")
def run(hardened_subject: LstmCaptionedImage) -> tuple[list[Progress], AdversarialFindings]:
    return finish_with_steps(
        analyse(hardened_subject.model, hardened_subject.image, hardened_subject.tokens, QUICK)
    )


@pytest.fixture(scope="module")
def findings(run: tuple[list[Progress], AdversarialFindings]) -> AdversarialFindings:
    return run[1]


def test_progress_increases_to_the_end(run: tuple[list[Progress], AdversarialFindings]) -> None:
    shares = [step.done for step in run[0]]

    assert shares == sorted(shares)
    assert shares[0] == 0 and 0.9 < shares[-1] <= 1
    assert len(shares) > 60
    assert all(step.doing for step in run[0])


def test_one_figure_is_the_smallest_of_all_attacks(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    first, *others = findings.smallest
    assert {each.norm for each in findings.smallest} == {"linf", "l2"}
    assert first.norm == "linf" and first.epsilon
    assert all(each.epsilon and each.epsilon >= first.epsilon for each in others)

    attacked = findings.attacked
    assert (attacked.attack, attacked.norm) == (first.attack, first.norm)
    assert (attacked.epsilon, attacked.attacked) == (first.epsilon, first.caption)
    clean = hardened_subject.model.text(np.array(hardened_subject.words))
    assert attacked.clean == clean != attacked.attacked
    before = [edit.before for edit in attacked.diff if edit.kind != "inserted"]
    after = [edit.after for edit in attacked.diff if edit.kind != "deleted"]
    assert [sentence(words) for words in (before, after)] == [attacked.clean, attacked.attacked]


def test_what_rounding_leaves_of_the_attack_is_measured(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    rounding, clean = findings.attacked.rounding, findings.attacked.clean

    picture = findings.pictures["attacked"].astype(np.float32)
    model = hardened_subject.model
    tokens = model.search(model.encode_pixels(picture[None])).tokens[0]
    assert rounding.caption == model.text(tokens)
    assert rounding.survives == (rounding.caption != clean)
    assert rounding.whole_levels in (None, 1, 2, 4, 8, 16, 32)


def test_harmless_changes_are_captioned(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    assert [each.name for each in findings.harmless] == list(HARMLESS)
    shift = findings.harmless[1]
    pixels = hardened_subject.pixels
    moved = np.roll(pixels, 1, axis=1)
    moved[:, 0] = pixels[:, 0]
    model = hardened_subject.model
    assert shift.caption == model.text(model.search(model.encode_pixels(moved[None])).tokens[0])
    assert shift.changed == (shift.caption != findings.attacked.clean)


def test_models_are_compared_under_one_attack(findings: AdversarialFindings) -> None:
    comparison = findings.comparison

    assert comparison.epsilon == QUICK.epsilon_compare
    assert [each.model for each in comparison.captions] == ["plain", "hardened", "control"]
    for each in comparison.captions:
        after = [edit.after for edit in each.diff if edit.kind != "deleted"]
        assert sentence(after) == each.attacked
    assert (comparison.by_chance, comparison.measured_on) == (0.25, 70)


def test_findings_describe_each_word(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    vocabulary = hardened_subject.model.captioner.vocabulary

    assert [word.text for word in findings.words] == vocabulary.decode(hardened_subject.words)
    for place, word in enumerate(findings.words):
        assert word.index == place
        assert word.log_prob == pytest.approx(
            float(hardened_subject.rescored.log_probs[place]), abs=1e-5
        )
        assert word.is_object == (word.text in ("dog", "ball", "grass"))
        assert word.smallest.norm == "linf"
        assert word.log_prob_hardened is not None
        assert word.log_prob_noise != word.log_prob != word.log_prob_attacked
        if word.smallest.epsilon and word.becomes:
            assert word.becomes != word.text
    assert any(word.regions for word in findings.words)


def test_images_have_the_captioners_size(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    shapes = {picture.shape for picture in findings.pictures.values()}

    assert shapes == {hardened_subject.pixels.shape}
    assert set(findings.pictures) == {
        *("clean", "attacked", "perturbation", "map-before", "map-after", "regions")
    }
    np.testing.assert_array_equal(findings.pictures["clean"], hardened_subject.pixels)
    magnified = np.abs(findings.pictures["perturbation"] - 128.0).max()
    assert magnified == pytest.approx(findings.attacked.epsilon * findings.magnified, abs=1)
    changed = np.abs(findings.pictures["attacked"].astype(float) - hardened_subject.pixels).max()
    assert changed <= findings.attacked.epsilon + 0.5


def test_curve_reaches_the_largest_epsilon(findings: AdversarialFindings) -> None:
    curve = findings.curve

    assert list(curve.epsilons) == pytest.approx([32 / 2**n for n in range(7, -1, -1)], rel=0.01)
    assert len({len(values) for values in (curve.changed, curve.log_prob, curve.epsilons)}) == 1
    assert curve.draws == 2
    assert min(curve.log_prob) < min(curve.noise_log_prob) - 0.5
    assert sum(a < b for a, b in zip(curve.log_prob, curve.noise_log_prob, strict=True)) >= 7
    for mean, most in zip(curve.noise_changed, curve.noise_changed_most, strict=True):
        assert 0 <= mean <= most <= 1


def test_likeliest_object_word_is_removed_by_default(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    objects = [word for word in findings.words if word.is_object]
    likeliest = max(objects, key=lambda word: word.log_prob)

    assert [(each.aim, each.word) for each in findings.keywords] == [("lose", likeliest.text)]
    assert likeliest.text not in findings.keywords[0].smallest.caption.lower().split()


def test_closing_an_analysis_frees_its_attacks(hardened_subject: LstmCaptionedImage) -> None:
    work = analyse(hardened_subject.model, hardened_subject.image, hardened_subject.tokens, QUICK)
    for _ in range(25):
        next(work)
    assert live_attacks()

    work.close()
    del work
    gc.collect()

    assert not live_attacks()


def live_attacks() -> list[Any]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Attack)]


@pytest.mark.parametrize(
    ("tokens", "words", "message"),
    [
        ((4, END), {"say": "xylophonist"}, "'xylophonist' is not in the captioner's vocabulary"),
        ((4, END), {"lose": "dog"}, "does not contain 'dog'"),
        ((5, END), {"say": "Dog "}, "already contains 'dog'"),
        ((END,), {}, "without words"),
        ((4, 999, END), {}, "a caption has"),
    ],
)
def test_invalid_analyses_are_refused_at_once(
    hardened_subject: LstmCaptionedImage,
    tokens: tuple[int, ...],
    words: dict[str, str],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        next(
            analyse(
                hardened_subject.model, hardened_subject.image, tokens, AdversarialParams(**words)
            )
        )
