import numpy as np
import pytest

from inference.adversarial.comparison import compare_decoders
from inference.adversarial.findings import diff_words, kept_places
from inference.adversarial.goals import ChangeCaption
from inference.progress import finish
from models.attacks import noise
from models.language import sentence
from tests.support.captioners.lstm import LstmCaptionedImage


def test_words_lost_by_the_plain_decoder_only_are_fragile(
    hardened_subject: LstmCaptionedImage,
) -> None:
    model = hardened_subject.model
    goal = ChangeCaption(hardened_subject)
    assert model.hardened
    vocabulary = model.captioner.vocabulary
    pixels = hardened_subject.pixels[None].astype(np.float32)
    random = np.random.default_rng(0)
    fragile = 0
    for epsilon in (30.0, 60.0, 90.0, 120.0) * 3:
        perturbation = noise(random, pixels, epsilon, "linf")

        found = finish(compare_decoders(hardened_subject, goal, perturbation, "linf"))

        grid = model.encode_pixels(pixels + perturbation)
        before, *after = (
            vocabulary.decode(tokens)
            for tokens in (
                hardened_subject.words,
                model.search(grid).tokens[0],
                model.hardened.search(grid).tokens[0],
            )
        )
        kept, kept_hardened = (kept_places(diff_words(before, words)) for words in after)
        assert found.fragile == kept_hardened - kept
        assert found.attacked.epsilon == pytest.approx(epsilon, abs=1e-3)
        captions = found.attacked.attacked, found.attacked.hardened
        assert captions == tuple(sentence(words) for words in after)
        fragile += len(found.fragile)
    assert fragile


def test_no_word_is_fragile_without_a_hardened_decoder(subject: LstmCaptionedImage) -> None:
    pixels = subject.pixels[None].astype(np.float32)
    perturbation = noise(np.random.default_rng(0), pixels, 60.0, "linf")

    found = finish(compare_decoders(subject, ChangeCaption(subject), perturbation, "linf"))

    assert found.attacked.hardened is None and found.attacked.hardened_clean is None
    assert found.log_probs_hardened is None
    assert not found.fragile and not found.attacked.hardened_diff
