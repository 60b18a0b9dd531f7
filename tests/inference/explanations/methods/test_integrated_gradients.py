import re

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations.map import Map
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.score import target_score
from inference.explanations.target import Target
from inference.progress import finish
from models.language import END
from tests.inference.conftest import TAGGED_SIDE, photographs
from tests.inference.explanations.conftest import follow
from tests.support.captioners.lstm import LstmCaptionedImage


@pytest.mark.parametrize(
    "target",
    [Target("word", 1), Target("caption"), Target("tag", text="dog")],
    ids=lambda target: target.kind,
)
def test_attributions_sum_to_the_difference_of_z(model: LstmCaptionModel, target: Target) -> None:
    # A faint image: on the path to a strong one a network of random weights is too non-linear.
    faint = np.round(128 + (photographs(TAGGED_SIDE)[0] - 128.0) * 0.06).astype(np.uint8)
    subject = LstmCaptionedImage(model, faint, (4, 5, 6, END))
    z = target_score(subject, target)
    colour = np.broadcast_to(subject.mean_colour, subject.pixels.shape)
    grids = subject.model.encode_pixels(np.stack([subject.pixels, colour]).astype(np.float32))
    whole, nothing = z.logits(grids)

    found = finish(IntegratedGradients(tolerance=0.03).attributions(subject, z))

    assert found.values.shape == subject.pixels.shape
    assert abs(whole - nothing) > 0.01
    assert found.change == pytest.approx(float(whole - nothing), rel=1e-3)
    assert float(found.values.sum()) == pytest.approx(float(whole - nothing), rel=0.03)
    assert found.gap <= 0.03
    assert found.steps >= 45


def plain_attributions(
    subject: LstmCaptionedImage, target: Target, steps: int
) -> NDArray[np.float64]:
    """Return (x - x') times the mean of dz/dx at the midpoints, all in one tape: [S, S, 3]."""
    captioner, image = subject.model.captioner, subject.pixels.astype(np.float64)
    colour = image.reshape(-1, 3).mean(axis=0)
    words, total = tf.constant([[subject.words]]), np.zeros_like(image)
    assert target.index is not None
    for step in range(steps):
        point = tf.constant((colour + (image - colour) * (step + 0.5) / steps)[None], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(point)
            logits = captioner.decoder((captioner.encoder(point, training=False), words))
            z = logits[0, 0, target.index, subject.words[target.index]]
        total += np.asarray(tape.gradient(z, point)[0], np.float64)
    return np.asarray((image - colour) * total / steps)


def test_the_steps_are_refined_and_the_error_is_told(subject: LstmCaptionedImage) -> None:
    target = Target("word", 2)
    # No round is precise enough, so that all are run.
    method = IntegratedGradients(least=5, most=15, tolerance=-1)
    shown, rough = follow(method.explain(subject, target))

    coarse, fine = (plain_attributions(subject, target, steps) for steps in (5, 15))
    for values, parts in ((rough[0].map.values, coarse), (shown.values, fine)):
        blocks = parts.sum(axis=-1).reshape(64, 2, 64, 2).sum(axis=(1, 3))
        np.testing.assert_allclose(values, np.maximum(blocks, 0), atol=1e-2 * np.abs(blocks).max())
        assert (blocks < 0).any()
    assert [each.doing for each in rough] == ["Rough map from 5 steps"]

    blank = np.broadcast_to(subject.mean_colour, subject.pixels.shape)[None]
    z = target_score(subject, target)
    change = float(
        z.logits(subject.grid[None])[0] - z.logits(subject.model.encode_pixels(blank))[0]
    )
    gap = abs(fine.sum() - change) / abs(change)
    told = re.fullmatch(
        r"The attributions sum to (\S+), and the score changes by (\S+): an error of (\d+)% "
        r"after (\d+) steps\.",
        shown.note,
    )
    assert told
    total, stated, percent, steps = told.groups()
    assert float(total) == pytest.approx(fine.sum(), abs=0.011)
    assert float(stated) == pytest.approx(change, abs=0.011)
    assert float(percent) == pytest.approx(100 * gap, abs=1.5)
    assert int(steps) == 15
    assert Map.from_json(shown.to_json()).note == shown.note


def test_it_ends_as_soon_as_the_sum_is_near_enough(subject: LstmCaptionedImage) -> None:
    target = Target("word", 2)
    shown, rough = follow(IntegratedGradients(least=15, tolerance=9.9).explain(subject, target))

    assert len(rough) == 1
    assert "after 15 steps" in shown.note
