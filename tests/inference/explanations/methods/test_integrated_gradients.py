import numpy as np
import pytest

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.score import target_score
from inference.explanations.target import Target
from inference.progress import finish
from models.language import END
from tests.inference.conftest import photographs
from tests.inference.explanations.conftest import SIDE
from tests.support.captioners.lstm import LstmCaptionedImage


@pytest.mark.parametrize(
    "target",
    [Target("word", 1), Target("caption"), Target("tag", text="dog")],
    ids=lambda target: target.kind,
)
def test_attributions_sum_to_the_difference_of_z(model: LstmCaptionModel, target: Target) -> None:
    # A faint image: on the path to a strong one a network of random weights is too non-linear.
    faint = np.round(128 + (photographs(SIDE)[0] - 128.0) * 0.06).astype(np.uint8)
    subject = LstmCaptionedImage(model, faint, (4, 5, 6, END))
    z = target_score(subject, target)
    colour = np.broadcast_to(subject.mean_colour, subject.pixels.shape)
    grids = subject.model.encode_pixels(np.stack([subject.pixels, colour]).astype(np.float32))
    whole, nothing = z.logits(grids)

    parts = finish(IntegratedGradients(steps=96).attributions(subject, z))

    assert parts.shape == subject.pixels.shape
    assert abs(whole - nothing) > 0.01
    assert float(parts.sum()) == pytest.approx(float(whole - nothing), rel=0.05)


def test_the_map_shows_the_positive_part(subject: LstmCaptionedImage) -> None:
    target, method = Target("word", 2), IntegratedGradients(steps=4)
    parts = finish(method.attributions(subject, target_score(subject, target))).sum(axis=-1)
    shown = finish(method.explain(subject, target)).values

    blocks = parts.reshape(64, 2, 64, 2).sum(axis=(1, 3))
    np.testing.assert_allclose(shown, np.maximum(blocks, 0), atol=1e-4 * np.abs(blocks).max())
    assert (blocks < 0).any()
