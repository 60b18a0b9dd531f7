"""Faithfulness of the maps of a captioner whose words have several tokens."""

import numpy as np

from inference.explanations.methods import METHODS
from inference.faithfulness.measurement import caption_image, cell_grid, measure
from inference.faithfulness.metrics import word_probabilities
from tests.inference.conftest import photographs
from tests.support.captioners.subwords import COLUMNS, PIECES, ROWS, SIDE, SubwordCaptionModel
from tests.support.oracle.plain_subwords import encode, log_probs

CAPTION = tuple(map(PIECES.index, ("a", "snow", "##board", "##er", "'", "s", "dog", "[END]")))


def test_words_not_tokens_are_measured_at_the_captioners_cells() -> None:
    model, image = SubwordCaptionModel(), photographs(SIDE)[4]
    cells, sample = cell_grid(model), caption_image(model, image)

    assert (cells.rows, cells.columns, cells.side) == (ROWS, COLUMNS, SIDE)
    assert sample.words == ("a", "snowboarder", "'s", "dog")
    assert sample.tokens == CAPTION
    images = photographs(SIDE)[:3]
    given = word_probabilities(model, list(images), CAPTION)
    for row, each in zip(given, images, strict=True):
        found = log_probs(model, encode(model, each), CAPTION)
        expected = [np.exp(found[a:b].sum()) for a, b in ((0, 1), (1, 4), (4, 6), (6, 7))]
        np.testing.assert_allclose(row, expected, rtol=1e-4)


def test_a_measured_word_is_whole() -> None:
    model = SubwordCaptionModel()
    sample = caption_image(model, photographs(SIDE)[4])

    found = measure(model, sample, {"gradcam": METHODS["gradcam"]}, np.random.default_rng(0))

    texts = {word.text for word in found.words}
    assert "dog" in texts
    assert texts <= set(sample.words)
    assert found.caption == "a snowboarder 's dog"
