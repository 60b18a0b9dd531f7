"""Captioners small enough to be created in tests, captioned images and photographs."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.stream_captions import caption_frames
from inference.captioning.stream_state import FrameRequest
from models.calibration.tags import TagCalibration
from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import ModelCard, save
from models.consensus import Consensus, ConsensusCard, ConsensusConfig, save_consensus
from models.language import END
from models.preprocessing import resize_to_square
from tests.models.conftest import lite0_captioner, make_flickr8k
from tests.support.captioners.lstm import LstmCaptionedImage

__all__ = ["lite0_captioner", "make_flickr8k"]

SIDE = 64
_PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png")
CARD = ModelCard(
    name="small",
    data="nothing at all",
    licence="Apache-2.0",
    figures={},
    beam=BeamConfig(width=3, max_length=7),
)

CHOICE = ConsensusConfig(neighbours=4, sharpness=0.0, weight=1000.0)
"""Without sharpness, the features that are left out change no share."""


@pytest.fixture(scope="session")
def captioner(lite0_captioner: Captioner) -> Captioner:
    """A small captioner with random weights everywhere. Tests must not change it."""
    return lite0_captioner


@pytest.fixture(scope="session")
def saved(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small captioner; read-only."""
    folder = tmp_path_factory.mktemp("captioner") / "small"
    save(folder, captioner, CARD)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


TAGGED_SIDE = 128
"""Side of the images of the captioner with tags, in pixels; the grid has 4 by 4 cells."""
TAGS = TagCalibration(slope=0.9, offset=0.3, penalties={}, threshold=0.5)


TRAINING_CAPTIONS = [
    [[*words, END], [*words[::-1], END]]
    for words in np.random.default_rng(7).integers(END + 2, 12, (9, 5)).tolist()
]


def training_features() -> NDArray[np.float32]:
    """Return made-up pooled grids of as many images."""
    return np.random.default_rng(8).uniform(0, 2, (len(TRAINING_CAPTIONS), 1280)).astype(np.float32)


@pytest.fixture(scope="session")
def choosing(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small captioner with a consensus of a strong weight; read-only."""
    folder = Path(shutil.copytree(saved, tmp_path_factory.mktemp("captioner") / "choosing"))
    consensus = Consensus.fit(
        training_features(), TRAINING_CAPTIONS, CHOICE, dimensions=8, minimum_images=1
    )
    save_consensus(folder, consensus, ConsensusCard(consensus.images, CHOICE, (), 0.0))
    return folder


@pytest.fixture(scope="session")
def tagged(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small captioner with random weights and tags; read-only."""
    made = Captioner(
        replace(captioner.config, image_size=TAGGED_SIDE, classes=1000), captioner.vocabulary
    )
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
    requests = [FrameRequest(image, maps=False) for image in photographs(TAGGED_SIDE)]
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


def photographs(side: int) -> NDArray[np.uint8]:
    """Return three photographs and their mirror images, resized: [6, side, side, 3]."""
    files = (Path(skimage.__file__).parent / "data" / name for name in _PHOTOGRAPHS)
    images = [np.asarray(cv2.imread(str(file)), np.uint8)[..., ::-1] for file in files]
    images += [image[:, ::-1] for image in images]
    return np.stack([resize_to_square(np.ascontiguousarray(image), side) for image in images])
