import numpy as np
import pytest

from inference.explanations.live import LIVE, live_maps
from inference.explanations.map import CaptionMaps
from inference.explanations.methods import METHODS
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.progress import finish
from models.captioner.beam_search import BeamCaption
from models.language.vocabulary import END, PAD


def test_maps_of_captions_together_are_each_words_own(subjects: list[Subject]) -> None:
    model, grids = subjects[0].model, np.stack([subject.grid for subject in subjects])
    together = live_maps(model.graphs, grids, [subject.told for subject in subjects])

    assert len({len(maps.words) for maps in together}) > 1
    for subject, maps in zip(subjects, together, strict=True):
        _are_own(subject, maps)


def test_maps_are_the_same_of_what_was_found_and_of_what_was_retold(
    subjects: list[Subject],
) -> None:
    model = subjects[0].model
    for subject in subjects[:3]:
        grid = subject.grid[None]
        found = BeamCaption(*(part[0] for part in model.search(grid)))
        tokens = tuple(found.tokens[found.tokens != PAD].tolist())
        _are_own(Subject(model, subject.image, tokens), live_maps(model.graphs, grid, [found])[0])


def _are_own(subject: Subject, maps: CaptionMaps) -> None:
    """Whether they are what each word has when it is asked for alone."""
    assert maps.method == LIVE
    assert len(maps.words) == len(subject.words)
    targets = [*(Target("word", index) for index in range(len(maps.words))), Target("caption")]
    for target, given in zip(targets, [*maps.words, maps.caption], strict=True):
        alone = finish(METHODS[LIVE].explain(subject, target)).values
        np.testing.assert_allclose(given.values, alone, atol=1e-3 * alone.max())


def test_maps_of_different_words_differ(subject: Subject) -> None:
    maps = live_maps(subject.model.graphs, subject.grid[None], [subject.told])[0]

    # The same word may be explained alike wherever it stands.
    assert len({each.values.tobytes() for each in maps.words}) >= len(set(subject.words)) > 1
    assert all(each.values.min() >= 0 for each in maps.words)


def test_a_caption_without_words_has_no_maps_of_words(subject: Subject) -> None:
    model = subject.model
    told = model.retell(subject.grid[None], [(END,)])
    row = BeamCaption(*(part[0] for part in told))
    (maps,) = live_maps(model.graphs, subject.grid[None], [row])

    assert maps.words == ()
    assert maps.caption.values.shape == subject.grid.shape[:2]
    assert maps.caption.values.max() == pytest.approx(0)
