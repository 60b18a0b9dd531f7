"""The small captioner of the explanation tests, photographs, and a frequent word."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.concepts.discovery import caption_images
from inference.progress import finish
from tests.inference.conftest import TAGGED_SIDE, photographs


@pytest.fixture(scope="session")
def images() -> list[NDArray[np.uint8]]:
    """Photographs of the captioner's image size."""
    return list(photographs(TAGGED_SIDE))


@pytest.fixture(scope="session")
def frequent_word(model: LstmCaptionModel, images: list[NDArray[np.uint8]]) -> str:
    """The word in most captions of the photographs."""
    counts = Counter(
        token for each in finish(caption_images(model, images)) for token in set(each.tokens)
    )
    return str(model.captioner.vocabulary.words[counts.most_common(1)[0][0]])
