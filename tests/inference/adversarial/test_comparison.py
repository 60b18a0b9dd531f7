import numpy as np
import pytest

from inference.adversarial.comparison import caption_by_all
from inference.adversarial.goals import ChangeCaption
from inference.progress import finish
from models.attacks import noise
from models.language import diff_words, kept_places, sentence
from tests.support.captioners.lstm import LstmCaptionedImage


def test_words_that_only_the_hardened_model_keeps_are_fragile(
    hardened_subject: LstmCaptionedImage,
) -> None:
    model = hardened_subject.model
    goal = ChangeCaption(hardened_subject)
    assert model.hardened
    vocabulary = model.captioner.vocabulary
    pixels = hardened_subject.pixels[None].astype(np.float32)
    random = np.random.default_rng(0)
    fragile = explained = 0
    for epsilon in (30.0, 60.0, 90.0, 120.0) * 3:
        perturbation = noise(random, pixels, epsilon, "linf")

        found = finish(caption_by_all(hardened_subject, goal, perturbation, epsilon))

        grid = model.encode_pixels(pixels + perturbation)
        before = vocabulary.decode(hardened_subject.words)
        after = [
            vocabulary.decode(each.search(grid).tokens[0])
            for each in (model, model.hardened.hardened, model.hardened.control)
        ]
        plain, hardened, control = (kept_places(diff_words(before, words)) for words in after)
        assert found.fragile == hardened - plain - control
        assert found.comparison.epsilon == epsilon
        captions = [each.attacked for each in found.comparison.captions]
        assert captions == [sentence(words) for words in after]
        fragile += len(found.fragile)
        explained += len((hardened - plain) & control)
    assert fragile and explained


def test_no_word_is_fragile_without_a_hardened_model(subject: LstmCaptionedImage) -> None:
    pixels = subject.pixels[None].astype(np.float32)
    perturbation = noise(np.random.default_rng(0), pixels, 60.0, "linf")

    found = finish(caption_by_all(subject, ChangeCaption(subject), perturbation, 60.0))

    assert [each.model for each in found.comparison.captions] == ["plain"]
    assert found.log_probs_hardened is None
    assert not found.fragile and not found.comparison.has_hardened
    assert found.comparison.by_chance is None


@pytest.mark.parametrize(("epsilon", "expected"), [(0.5, 0.25), (0.3, None)])
def test_chance_is_known_for_the_sizes_that_were_measured(
    hardened_subject: LstmCaptionedImage, epsilon: float, expected: float | None
) -> None:
    models = hardened_subject.model.hardened

    assert models and models.by_chance(epsilon) == expected
