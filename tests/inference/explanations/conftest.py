"""A small captioner with tags and what it says of a picture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.captioning.model import CaptionModel
from inference.captioning.steadiness import View
from inference.captioning.stream_captions import follow
from inference.explanations.subject import Subject
from models.calibration.tags import TagCalibration
from models.captioner.captioner import Captioner
from models.checkpoint import save
from models.language.vocabulary import END
from tests.inference.conftest import CARD, photographs

SIDE = 128
"""Pixels: the small captioner sees a grid of 4 by 4 cells."""
TAGS = TagCalibration(slope=0.9, offset=0.3, doubts={}, threshold=0.5)


@pytest.fixture(scope="session")
def tagged(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small captioner of random weights, with tags; not to be changed."""
    made = Captioner(replace(captioner.config, image_size=SIDE, classes=1000), captioner.vocabulary)
    random = np.random.default_rng(2)
    classifier = [random.normal(0, 0.05, (1280, 1000)), random.normal(0, 1, 1000)]
    made.set_weights([*captioner.get_weights(), *classifier])
    folder = tmp_path_factory.mktemp("captioner") / "tagged"
    save(folder, made, replace(CARD, tags=TAGS))
    return folder


@pytest.fixture(scope="session")
def model(tagged: Path) -> CaptionModel:
    """That captioner, ready; not to be changed."""
    return CaptionModel(tagged)


@pytest.fixture(scope="session")
def subjects(model: CaptionModel) -> list[Subject]:
    """Pictures with the captions that were found of them, or their beginnings: of 3 to 7 words."""
    views = [View(picture, maps=False) for picture in photographs(SIDE)]
    said = [followed.anchor.tokens for followed in follow(model, views)]
    shorter = [(*tokens[: 3 + place], END)[:7] for place, tokens in enumerate(said)]
    return [Subject(model, view.image, each) for view, each in zip(views, shorter, strict=True)]


@pytest.fixture(scope="session")
def subject(subjects: list[Subject]) -> Subject:
    """The one with the longest caption."""
    return max(subjects, key=lambda subject: len(subject.words))
