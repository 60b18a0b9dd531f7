"""A small captioner with tags, and captioned images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.stream_captions import caption_frames
from inference.captioning.stream_state import FrameRequest
from inference.explanations.map import Map, RoughMap
from inference.explanations.method import Work
from models.calibration.tags import TagCalibration
from models.captioner.captioner import Captioner
from models.checkpoint import save
from models.language import END
from tests.inference.conftest import CARD, photographs
from tests.support.captioners.lstm import LstmCaptionedImage

SIDE = 128
"""In pixels; the grid has 4 by 4 cells."""
TAGS = TagCalibration(slope=0.9, offset=0.3, penalties={}, threshold=0.5)


@pytest.fixture(scope="session")
def tagged(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small captioner with random weights and tags; read-only."""
    made = Captioner(replace(captioner.config, image_size=SIDE, classes=1000), captioner.vocabulary)
    random = np.random.default_rng(2)
    classifier = [random.normal(0, 0.05, (1280, 1000)), random.normal(0, 1, 1000)]
    made.set_weights([*captioner.get_weights(), *classifier])
    folder = tmp_path_factory.mktemp("captioner") / "tagged"
    save(folder, made, replace(CARD, tags=TAGS))
    return folder


@pytest.fixture(scope="session")
def model(tagged: Path) -> LstmCaptionModel:
    """That captioner, loaded; read-only."""
    return LstmCaptionModel(tagged)


@pytest.fixture(scope="session")
def subjects(model: LstmCaptionModel) -> list[LstmCaptionedImage]:
    """Images with the beginnings of the captions found for them, of 3 to 7 words."""
    requests = [FrameRequest(image, maps=False) for image in photographs(SIDE)]
    found = [result.state.tokens for result in caption_frames(model, requests)]
    shorter = [(*tokens[: 3 + place], END)[:7] for place, tokens in enumerate(found)]
    return [
        LstmCaptionedImage(model, request.image, tokens)
        for request, tokens in zip(requests, shorter, strict=True)
    ]


@pytest.fixture(scope="session")
def subject(subjects: list[LstmCaptionedImage]) -> LstmCaptionedImage:
    """The one with the longest caption."""
    return max(subjects, key=lambda subject: len(subject.words))


def follow(work: Work) -> tuple[Map, list[RoughMap]]:
    """Return the map that a method computes, and the rough ones before it."""
    rough: list[RoughMap] = []
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            return end.value, rough
        if isinstance(step, RoughMap):
            rough.append(step)
