"""The small captioner of the explanation tests, also with a hardened model and its control."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from models.hardening import HardenedCard, LostWords, Student, save_hardened
from models.language import END
from tests.inference.conftest import TAGGED_SIDE, photographs
from tests.support.captioners.lstm import LstmCaptionedImage

LOST = LostWords(
    epsilon=0.5, words=100, lost=50, kept_hardened=12, kept_control=6, fragile=8, reverse=2
)
CARD = HardenedCard(
    data="nothing",
    pictures=0,
    epochs=1,
    steps=1,
    encoder_blocks=1,
    chosen_by=1,
    reported=70,
    cider={},
    distinct={},
    same={},
    harmless=(),
    attacks=(),
    lost=(LOST,),
)


@pytest.fixture(scope="session")
def hardened_model(model: LstmCaptionModel, tagged: Path) -> LstmCaptionModel:
    """The small captioner with a second model that favours frequent words, and a control."""
    random = np.random.default_rng(0)
    tokens = model.search(model.encode(list(photographs(TAGGED_SIDE)))).tokens.ravel()
    counts = np.bincount(tokens[tokens > END], minlength=model.vocabulary_size)
    students = [Student(model.captioner, 1) for _ in range(2)]
    for student, bias in zip(students, (3.0, 0.5), strict=True):
        for weight in student.decoder.weights:
            weight.assign_add(random.normal(0, 0.05, weight.shape))
        student.decoder.word_bias.assign_add(bias * counts / counts.max())
    folder = tagged.parent / "hardened"
    shutil.copytree(tagged, folder)
    save_hardened(folder, model.captioner, students[0], students[1], CARD)
    return LstmCaptionModel(folder)


@pytest.fixture(scope="session")
def hardened_subject(
    hardened_model: LstmCaptionModel, subject: LstmCaptionedImage
) -> LstmCaptionedImage:
    """An image with the caption that beam search finds, by the model with all three."""
    found = hardened_model.search(subject.grid[None]).tokens[0]
    tokens = tuple(int(token) for token in found if token)
    return LstmCaptionedImage(hardened_model, subject.image, tokens)


@pytest.fixture(scope="session")
def labels(subject: LstmCaptionedImage) -> NDArray[np.int32]:
    """Segment labels of five vertical stripes."""
    side = subject.pixels.shape[0]
    return np.broadcast_to(np.arange(side) * 5 // side, (side, side)).astype(np.int32)
