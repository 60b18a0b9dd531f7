import gc
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from inference.adversarial.analysis import analyse
from inference.adversarial.attack import Attack
from inference.adversarial.findings import AdversarialFindings, AdversarialParams
from inference.progress import Progress
from models.language import END, sentence
from tests.support.captioners.lstm import LstmCaptionedImage

QUICK = AdversarialParams(steps=2, draws=2, segments=4, epsilon_most=32)


def run_analysis(subject: LstmCaptionedImage, params: AdversarialParams) -> AdversarialFindings:
    return finish_with_steps(analyse(subject.model, subject.image, subject.tokens, params))[1]


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


def test_caption_is_attacked_in_both_norms(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    attacks = [(each.attack, each.norm) for each in findings.smallest]
    assert attacks == [("pgd", "linf"), ("pgd", "l2"), ("fgsm", "linf"), ("fgsm", "l2")]
    clean = hardened_subject.model.text(np.array(hardened_subject.words))
    for several, one in zip(findings.smallest[:2], findings.smallest[2:], strict=True):
        assert several.epsilon and one.epsilon
        assert several.epsilon <= one.epsilon <= one.largest
        assert clean not in (several.caption, one.caption)


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
        attacks = [each.attack for each in word.smallest]
        assert attacks == (["pgd"] if word.is_object else []) + ["fgsm", "fgsm"]
        assert word.log_prob_hardened is not None
        assert word.log_prob_noise != word.log_prob != word.log_prob_attacked
        if any(each.epsilon for each in word.smallest) and word.becomes:
            assert word.becomes != word.text
    assert any(word.regions for word in findings.words)


def test_captions_and_their_diff_agree(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    attacked = findings.attacked

    assert attacked.clean == hardened_subject.model.text(np.array(hardened_subject.words))
    before = [edit.before for edit in attacked.diff if edit.kind != "inserted"]
    after = [edit.after for edit in attacked.diff if edit.kind != "deleted"]
    assert [sentence(words) for words in (before, after)] == [attacked.clean, attacked.attacked]
    assert attacked.attacked != attacked.clean
    assert findings.smallest[0].epsilon
    assert attacked.epsilon >= findings.smallest[0].epsilon
    hardened = [edit.after for edit in attacked.hardened_diff if edit.kind != "deleted"]
    assert sentence(hardened) == attacked.hardened


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


def test_same_seed_gives_the_same_findings(
    hardened_subject: LstmCaptionedImage, findings: AdversarialFindings
) -> None:
    def values(of: AdversarialFindings) -> dict[str, Any]:
        return {**of.to_json(), "took_s": 0}

    assert values(run_analysis(hardened_subject, QUICK)) == values(findings)


def test_other_norm_and_a_word_to_add(hardened_subject: LstmCaptionedImage) -> None:
    names = hardened_subject.model.captioner.vocabulary.words
    others = [
        names[word] for word in range(END + 2, len(names)) if word not in hardened_subject.words
    ]
    params = AdversarialParams(
        **{**QUICK.model_dump(), "norm": "l2", "say": others[0].upper(), "seed": 1}
    )

    findings = run_analysis(hardened_subject, params)

    assert findings.attacked.norm == findings.curve.norm == findings.smallest[0].norm == "l2"
    say = next(each for each in findings.keywords if each.aim == "say")
    assert say.word == others[0]
    if say.smallest.epsilon is not None:
        assert others[0] in say.smallest.caption.lower().split()


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
