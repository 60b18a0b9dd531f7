"""The reported smallest perturbations, compared with a long independent search."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.adversarial.analysis import analyse
from inference.adversarial.findings import AdversarialParams
from inference.explanations.captioned_image import CaptionedImage
from inference.progress import finish
from models.attacks import Norm
from tests.inference.conftest import photographs
from tests.support.captioners.subwords import SIDE, SubwordCaptionModel
from tests.support.oracle.smallest_change import smallest_change


def captioned(image: NDArray[np.uint8]) -> CaptionedImage:
    model = SubwordCaptionModel()
    tokens = model.search(model.encode([image])).tokens[0]
    return CaptionedImage(model, image, tuple(int(token) for token in tokens if token))


@pytest.fixture(scope="module")
def near_tie() -> CaptionedImage:
    """An image between two that are captioned differently, closest to the boundary."""
    first, second = photographs(SIDE)[:2].astype(float)
    tokens = captioned(first.astype(np.uint8)).tokens
    shares = np.array([0.0, 1.0])
    for _ in range(8):
        image = np.rint(first + shares.mean() * (second - first)).astype(np.uint8)
        subject = captioned(image)
        shares[int(subject.tokens != tokens)] = shares.mean()
    return subject


@pytest.mark.parametrize(("norm", "images"), [("linf", (1, 3)), ("l2", (1,))])
def test_no_long_search_finds_much_less(
    near_tie: CaptionedImage, norm: Norm, images: tuple[int, ...]
) -> None:
    subjects = [captioned(image) for image in photographs(SIDE)[list(images)]]
    params = AdversarialParams(norm=norm, epsilon_most=64, draws=1, segments=2)
    for subject in [*subjects, near_tie]:
        found = finish(analyse(subject.model, subject.image, subject.tokens, params))

        model = subject.model
        assert isinstance(model, SubwordCaptionModel)
        oracle = smallest_change(model, subject.pixels, subject.tokens, norm)
        assert found.smallest[0].epsilon
        assert found.smallest[0].epsilon <= 1.1 * oracle
        assert found.attacked.epsilon == found.smallest[0].epsilon
