"""The small captioner of the explanation tests, also with a hardened decoder."""

from copy import copy

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import CompiledDecoder, LstmCaptionModel
from models.hardening.hardened_decoder import copy_decoder
from models.language import END
from tests.inference.conftest import captioner, photographs
from tests.inference.explanations.conftest import SIDE, model, subject, subjects, tagged
from tests.support.captioners.lstm import LstmCaptionedImage

__all__ = ["captioner", "model", "subject", "subjects", "tagged"]


@pytest.fixture(scope="session")
def hardened_model(model: LstmCaptionModel) -> LstmCaptionModel:
    """The small captioner with a second decoder that favours frequent words."""
    hardened = copy_decoder(model.captioner)
    random = np.random.default_rng(0)
    for weight in hardened.weights:
        weight.assign_add(random.normal(0, 0.05, weight.shape))
    tokens = model.search(model.encode(list(photographs(SIDE)))).tokens.ravel()
    counts = np.bincount(tokens[tokens > END], minlength=model.vocabulary_size)
    hardened.word_bias.assign_add(3.0 * counts / counts.max())
    grid_shape = model.captioner.encoder.output_shape[1:]
    both = copy(model)
    both.hardened = CompiledDecoder(hardened, grid_shape, model.card)
    return both


@pytest.fixture(scope="session")
def hardened_subject(
    hardened_model: LstmCaptionModel, subject: LstmCaptionedImage
) -> LstmCaptionedImage:
    """An image with the caption that beam search finds, by the model with both decoders."""
    found = hardened_model.search(subject.grid[None]).tokens[0]
    tokens = tuple(int(token) for token in found if token)
    return LstmCaptionedImage(hardened_model, subject.image, tokens)


@pytest.fixture(scope="session")
def labels(subject: LstmCaptionedImage) -> NDArray[np.int32]:
    """Segment labels of five vertical stripes."""
    side = subject.pixels.shape[0]
    return np.broadcast_to(np.arange(side) * 5 // side, (side, side)).astype(np.int32)
