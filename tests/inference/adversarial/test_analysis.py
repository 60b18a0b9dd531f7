"""The whole analysis, of the small captioner."""

import gc
from collections.abc import Generator
from copy import copy
from typing import Any

import numpy as np
import pytest

from inference.adversarial.aims import ChangeCaption
from inference.adversarial.analysis import analyse
from inference.adversarial.attack import Attack
from inference.adversarial.comparison import compare
from inference.adversarial.findings import (
    AdversarialFindings,
    AdversarialParams,
    diff_words,
    kept_places,
)
from inference.captioning.decoding import Decoding
from inference.captioning.model import CaptionModel
from inference.explanations.subject import Subject
from inference.progress import Step, finish
from models.attacks import noise
from models.hardening.hardened_decoder import copy_decoder
from models.language.vocabulary import END, sentence
from tests.inference.conftest import photographs
from tests.inference.explanations.conftest import SIDE

QUICK = AdversarialParams(steps=2, draws=2, segments=4, epsilon_most=32)


@pytest.fixture(scope="module")
def both(model: CaptionModel) -> CaptionModel:
    """The small captioner with another decoder, which sticks to what is often said."""
    hardened = copy_decoder(model.captioner)
    random = np.random.default_rng(0)
    for weight in hardened.weights:
        weight.assign_add(random.normal(0, 0.05, weight.shape))
    often = model.search(model.encode(list(photographs(SIDE)))).tokens.ravel()
    counts = np.bincount(often[often > END], minlength=model.vocabulary_size)
    hardened.word_bias.assign_add(3.0 * counts / counts.max())
    with_both = copy(model)
    with_both.hardened = Decoding(hardened, model.captioner.encoder.output_shape[1:], model.card)
    return with_both


@pytest.fixture(scope="module")
def asked(both: CaptionModel, subject: Subject) -> Subject:
    """A picture with what that captioner says of it."""
    found = both.search(subject.grid[None]).tokens[0]
    return Subject(both, subject.image, tuple(int(word) for word in found if word))


def analysed(subject: Subject, params: AdversarialParams) -> AdversarialFindings:
    return finish_steps(analyse(subject.model, subject.image, subject.tokens, params))[1]


def finish_steps(
    work: Generator[Step, None, AdversarialFindings],
) -> tuple[list[Step], AdversarialFindings]:
    steps = []
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture(scope="module")
def run(asked: Subject) -> tuple[list[Step], AdversarialFindings]:
    return finish_steps(analyse(asked.model, asked.image, asked.tokens, QUICK))


@pytest.fixture(scope="module")
def findings(run: tuple[list[Step], AdversarialFindings]) -> AdversarialFindings:
    return run[1]


def test_it_tells_how_far_it_is(run: tuple[list[Step], AdversarialFindings]) -> None:
    shares = [step.done for step in run[0]]

    assert shares == sorted(shares)
    assert shares[0] == 0 and 0.9 < shares[-1] <= 1
    assert len(shares) > 60
    assert all(step.doing for step in run[0])


def test_the_caption_is_attacked_in_both_norms(
    asked: Subject, findings: AdversarialFindings
) -> None:
    attacks = [(each.attack, each.norm) for each in findings.smallest]
    assert attacks == [("pgd", "linf"), ("pgd", "l2"), ("fgsm", "linf"), ("fgsm", "l2")]
    clean = asked.model.text(np.array(asked.words))
    for several, one in zip(findings.smallest[:2], findings.smallest[2:], strict=True):
        assert several.epsilon and one.epsilon
        assert several.epsilon <= one.epsilon <= one.largest
        assert clean not in (several.caption, one.caption)


def test_each_word_has_its_figures(asked: Subject, findings: AdversarialFindings) -> None:
    vocabulary = asked.model.captioner.vocabulary

    assert [word.text for word in findings.words] == vocabulary.decode(asked.words)
    for place, word in enumerate(findings.words):
        assert word.index == place
        assert word.log_prob == pytest.approx(float(asked.told.log_probs[place]), abs=1e-5)
        assert word.is_object == (word.text in ("dog", "ball", "grass"))
        attacks = [each.attack for each in word.smallest]
        assert attacks == (["pgd"] if word.is_object else []) + ["fgsm", "fgsm"]
        assert word.log_prob_hardened is not None
        assert word.log_prob_noise != word.log_prob != word.log_prob_attacked
        if any(each.epsilon for each in word.smallest) and word.becomes:
            assert word.becomes != word.text
    assert any(word.regions for word in findings.words)


def test_what_is_shown_is_what_is_said_of_it(asked: Subject, findings: AdversarialFindings) -> None:
    attacked = findings.attacked

    assert attacked.clean == asked.model.text(np.array(asked.words))
    before = [edit.before for edit in attacked.diff if edit.kind != "inserted"]
    after = [edit.after for edit in attacked.diff if edit.kind != "deleted"]
    assert [sentence(words) for words in (before, after)] == [attacked.clean, attacked.attacked]
    assert attacked.attacked != attacked.clean
    assert findings.smallest[0].epsilon
    assert attacked.epsilon >= findings.smallest[0].epsilon
    hardened = [edit.after for edit in attacked.hardened_diff if edit.kind != "deleted"]
    assert sentence(hardened) == attacked.hardened


def test_the_pictures_are_of_the_captioners_size(
    asked: Subject, findings: AdversarialFindings
) -> None:
    shapes = {picture.shape for picture in findings.pictures.values()}

    assert shapes == {asked.pixels.shape}
    assert set(findings.pictures) == {
        *("clean", "attacked", "perturbation", "map-before", "map-after", "regions")
    }
    np.testing.assert_array_equal(findings.pictures["clean"], asked.pixels)
    magnified = np.abs(findings.pictures["perturbation"] - 128.0).max()
    assert magnified == pytest.approx(findings.attacked.epsilon * findings.magnified, abs=1)
    changed = np.abs(findings.pictures["attacked"].astype(float) - asked.pixels).max()
    assert changed <= findings.attacked.epsilon + 0.5


def test_the_curve_goes_up_to_the_largest_epsilon(findings: AdversarialFindings) -> None:
    curve = findings.curve

    assert list(curve.epsilons) == pytest.approx([32 / 2**n for n in range(7, -1, -1)], rel=0.01)
    assert len({len(values) for values in (curve.changed, curve.log_prob, curve.epsilons)}) == 1
    assert curve.draws == 2
    assert min(curve.log_prob) < min(curve.noise_log_prob) - 0.5
    assert sum(a < b for a, b in zip(curve.log_prob, curve.noise_log_prob, strict=True)) >= 7
    for mean, most in zip(curve.noise_changed, curve.noise_changed_most, strict=True):
        assert 0 <= mean <= most <= 1


def test_the_surest_object_word_is_lost_unless_one_is_named(
    asked: Subject, findings: AdversarialFindings
) -> None:
    objects = [word for word in findings.words if word.is_object]
    surest = max(objects, key=lambda word: word.log_prob)

    assert [(each.aim, each.word) for each in findings.keywords] == [("lose", surest.text)]
    assert surest.text not in findings.keywords[0].smallest.caption.lower().split()


def test_the_same_seed_finds_the_same(asked: Subject, findings: AdversarialFindings) -> None:
    def told(of: AdversarialFindings) -> dict[str, Any]:
        return {**of.to_json(), "took_s": 0}

    assert told(analysed(asked, QUICK)) == told(findings)


def test_another_norm_and_a_word_to_say(asked: Subject) -> None:
    names = asked.model.captioner.vocabulary.words
    others = [names[word] for word in range(END + 2, len(names)) if word not in asked.words]
    params = AdversarialParams(
        **{**QUICK.model_dump(), "norm": "l2", "say": others[0].upper(), "seed": 1}
    )

    findings = analysed(asked, params)

    assert findings.attacked.norm == findings.curve.norm == findings.smallest[0].norm == "l2"
    say = next(each for each in findings.keywords if each.aim == "say")
    assert say.word == others[0]
    if say.smallest.epsilon is not None:
        assert others[0] in say.smallest.caption.lower().split()


def test_words_that_f_loses_and_g_keeps_are_fragile(asked: Subject) -> None:
    usual = ChangeCaption(asked)
    hardened = asked.model.hardened
    assert hardened
    vocabulary = asked.model.captioner.vocabulary
    pixels = asked.pixels[None].astype(np.float32)
    random = np.random.default_rng(0)
    lost_and_kept = 0
    for epsilon in (30.0, 60.0, 90.0, 120.0) * 3:
        perturbation = noise(random, pixels, epsilon, "linf")

        found = finish(compare(asked, usual, perturbation, "linf"))

        grid = asked.model.encode_pixels(pixels + perturbation)
        before, *after = (
            vocabulary.decode(tokens)
            for tokens in (
                asked.words,
                asked.model.search(grid).tokens[0],
                hardened.search(grid).tokens[0],
            )
        )
        kept, kept_hardened = (kept_places(diff_words(before, words)) for words in after)
        assert found.fragile == kept_hardened - kept
        assert found.attacked.epsilon == pytest.approx(epsilon, abs=1e-3)
        said = found.attacked.attacked, found.attacked.hardened
        assert said == tuple(sentence(words) for words in after)
        lost_and_kept += len(found.fragile)
    assert lost_and_kept


def test_without_a_hardened_decoder_no_word_is_called_fragile(subject: Subject) -> None:
    pixels = subject.pixels[None].astype(np.float32)
    perturbation = noise(np.random.default_rng(0), pixels, 60.0, "linf")

    found = finish(compare(subject, ChangeCaption(subject), perturbation, "linf"))

    assert found.attacked.hardened is None and found.attacked.hardened_clean is None
    assert found.log_probs_hardened is None
    assert not found.fragile and not found.attacked.hardened_diff


def test_a_closed_analysis_leaves_nothing(asked: Subject) -> None:
    work = analyse(asked.model, asked.image, asked.tokens, QUICK)
    for _ in range(25):
        next(work)
    assert alive()

    work.close()
    del work
    gc.collect()

    assert not alive()


def alive() -> list[Any]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Attack)]


@pytest.mark.parametrize(
    ("tokens", "words", "told"),
    [
        ((4, END), {"say": "xylophonist"}, "does not know the word 'xylophonist'"),
        ((4, END), {"lose": "dog"}, "does not say 'dog'"),
        ((5, END), {"say": "Dog "}, "says 'dog' already"),
        ((END,), {}, "without words"),
        ((4, 999, END), {}, "a caption has words"),
    ],
)
def test_what_cannot_be_analysed_is_refused_at_once(
    asked: Subject, tokens: tuple[int, ...], words: dict[str, str], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        next(analyse(asked.model, asked.image, tokens, AdversarialParams(**words)))
