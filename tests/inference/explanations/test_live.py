import numpy as np
import pytest

from inference.explanations.map import CaptionMaps
from inference.explanations.methods import METHODS
from inference.explanations.target import Target
from inference.progress import finish
from models.captioner.beam_search import BeamCaption
from models.language import END, PAD
from tests.support.captioners.lstm import LstmCaptionedImage


def test_maps_computed_together_equal_those_computed_word_by_word(
    subjects: list[LstmCaptionedImage],
) -> None:
    model, grids = subjects[0].model, np.stack([subject.grid for subject in subjects])
    together = model.live_maps(grids, [subject.rescored for subject in subjects])

    assert len({len(maps.words) for maps in together}) > 1
    for subject, maps in zip(subjects, together, strict=True):
        assert_own_maps(subject, maps)


def test_maps_of_a_searched_and_a_rescored_caption_are_equal(
    subjects: list[LstmCaptionedImage],
) -> None:
    model = subjects[0].model
    for subject in subjects[:3]:
        grid = subject.grid[None]
        found = BeamCaption(*(part[0] for part in model.search(grid)))
        tokens = tuple(found.tokens[found.tokens != PAD].tolist())
        assert_own_maps(
            LstmCaptionedImage(model, subject.image, tokens), model.live_maps(grid, [found])[0]
        )


def assert_own_maps(subject: LstmCaptionedImage, maps: CaptionMaps) -> None:
    """Assert that the maps equal those of each word computed alone."""
    assert maps.method == "readcam"
    assert len(maps.words) == len(subject.words)
    targets = [*(Target("word", index) for index in range(len(maps.words))), Target("caption")]
    for target, given in zip(targets, [*maps.words, maps.caption], strict=True):
        alone = finish(METHODS["readcam"].explain(subject, target)).values
        np.testing.assert_allclose(given.values, alone, atol=1e-3 * alone.max())


def test_maps_of_different_words_differ(subject: LstmCaptionedImage) -> None:
    maps = subject.model.live_maps(subject.grid[None], [subject.rescored])[0]

    # The same word may have the same map in several places.
    assert len({each.values.tobytes() for each in maps.words}) >= len(set(subject.words)) > 1
    assert all(each.values.min() >= 0 for each in maps.words)


def test_a_caption_without_words_has_no_maps_of_words(subject: LstmCaptionedImage) -> None:
    model = subject.model
    rescored = model.rescore(subject.grid[None], [(END,)])
    row = BeamCaption(*(part[0] for part in rescored))
    (maps,) = model.live_maps(subject.grid[None], [row])

    assert maps.words == ()
    assert maps.caption.values.shape == subject.grid.shape[:2]
    assert maps.caption.values.max() == pytest.approx(0)
