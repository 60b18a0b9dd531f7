import numpy as np
import pytest
from numpy.typing import NDArray

from inference.adversarial.curve import PerturbedCaptioner, PerturbedCaptions, caption_noise
from inference.adversarial.goals import ChangeCaption
from inference.progress import finish
from models.attacks import Norm, norms
from tests.support.captioners.lstm import LstmCaptionedImage


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 3.0), ("l2", 900.0)])
def test_noise_has_the_norm_of_the_attack(
    subject: LstmCaptionedImage, norm: Norm, epsilon: float
) -> None:
    seen: list[NDArray[np.float32]] = []

    class Recorder(PerturbedCaptioner):
        def caption(self, pixels: NDArray[np.float32]) -> PerturbedCaptions:
            seen.append(pixels)
            return super().caption(pixels)

    clean = subject.pixels[None].astype(np.float32)
    captioner = Recorder(subject, ChangeCaption(subject))
    random = np.random.default_rng(0)
    found = finish(caption_noise(clean, captioner, epsilon, norm, 3, random))

    noisy = np.concatenate(seen)
    assert len(noisy) == len(found.captions) == len(found.changes) == len(found.log_probs) == 3
    assert norms(noisy - clean, norm) == pytest.approx([epsilon] * 3, rel=1e-3)
    assert noisy.min() >= 0 and noisy.max() <= 255
    rescored = subject.model.rescore(subject.model.encode_pixels(noisy), [subject.tokens] * 3)
    np.testing.assert_allclose(
        found.log_probs, np.asarray(rescored.log_probs)[:, : len(subject.words)], atol=1e-5
    )
