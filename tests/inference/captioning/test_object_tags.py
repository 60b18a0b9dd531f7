"""Tests of the object tags beside a caption."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.captioning.caption import Tag
from inference.captioning.model import CaptionModel
from models.calibration.tags import TagCalibration, Tagger
from models.captioner.captioner import Captioner
from models.checkpoint import save
from tests.inference.conftest import CARD, SIDE, photographs

TAGS = TagCalibration(slope=1.0, offset=0.0, doubts={}, threshold=0.001)


@pytest.fixture(scope="module")
def folder_with_tags(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner with a classifier, which is random and unsure."""
    made = Captioner(replace(captioner.config, classes=1000), captioner.vocabulary)
    random = np.random.default_rng(2)
    classifier = [random.normal(0, 0.05, (1280, 1000)), random.normal(0, 1, 1000)]
    made.set_weights([*captioner.get_weights(), *classifier])
    folder = tmp_path_factory.mktemp("captioner") / "tags"
    save(folder, made, replace(CARD, tags=TAGS))
    return folder


def test_captions_have_the_tags_of_their_own_pictures(folder_with_tags: Path) -> None:
    model = CaptionModel(folder_with_tags)
    tagger = Tagger(model.captioner.classifier, TAGS)
    pictures = photographs(SIDE)[:2]
    grids = np.asarray(model.captioner.encoder(pictures.astype(np.float32)))

    captions = model.captions(list(pictures))

    assert model.has_tags
    assert captions[0].tags != captions[1].tags
    for caption, told in zip(captions, tagger.tags(grids), strict=True):
        assert [tag.text for tag in caption.tags] == [name for name, _ in told]
        assert [tag.prob for tag in caption.tags] == pytest.approx(
            [prob for _, prob in told], rel=0.02, abs=1e-3
        )
        assert 0 < len(caption.tags) <= 5
        assert all(isinstance(tag, Tag) for tag in caption.tags)


def test_captioner_without_tags_tells_none(saved: Path) -> None:
    model = CaptionModel(saved)

    assert not model.has_tags
    assert model.caption(photographs(SIDE)[0]).tags == ()


def test_captioner_that_nobody_has_calibrated_tells_none(
    captioner: Captioner, tmp_path: Path
) -> None:
    made = Captioner(replace(captioner.config, classes=1000), captioner.vocabulary)
    save(tmp_path, made, CARD)

    model = CaptionModel(tmp_path)

    assert not model.has_tags
    assert model.caption(photographs(SIDE)[0]).tags == ()
