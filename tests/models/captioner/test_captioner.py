"""Tests of the captioner and its configuration."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.captioner.captioner import Captioner, CaptionerConfig
from models.hardening import Student
from models.language import Vocabulary
from tests.models.conftest import SMALL, WORDS

CONFIG = CaptionerConfig("efficientnet-lite0", 64, SMALL)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoder": "resnet50"}, "unknown encoder 'resnet50'; choose one of efficientnet-lite0"),
        ({"image_size": 0}, "image_size is 0 but must be 32 or more; efficientnet-lite0 .* 224"),
        ({"classes": -1}, "classes is -1"),
    ],
)
def test_invalid_configuration_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        replace(CONFIG, **change)


def test_vocabulary_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="the decoder has 12 words but the vocabulary has 11"):
        Captioner(CONFIG, Vocabulary(WORDS[:-1]))


def test_content_words_of_any_vocabulary_are_distinct(captioner: Captioner) -> None:
    words = captioner.vocabulary.words
    distinct = {words[index] for index in np.flatnonzero(captioner.decoder.distinct_words)}

    assert distinct == {"dog", "ball", "grass", "runs", "red"}
    assert Student(captioner, 0).decoder.distinct_words.tolist() == (
        captioner.decoder.distinct_words.tolist()
    )


def test_decoder_is_built_for_the_encoders_channels(captioner: Captioner) -> None:
    assert captioner.encoder.output_shape == (None, 2, 2, 1280)
    assert captioner.decoder.project.kernel.shape == (1280, SMALL.width)
