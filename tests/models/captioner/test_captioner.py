"""Tests of the captioner and its configuration."""

from dataclasses import replace
from typing import Any

import pytest

from models.captioner.captioner import Captioner, CaptionerConfig
from models.language.vocabulary import Vocabulary
from tests.models.conftest import SMALL, WORDS

CONFIG = CaptionerConfig("efficientnet-lite0", 64, SMALL)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoder": "resnet50"}, "no encoder is called 'resnet50'; there are efficientnet-lite0"),
        ({"image_size": 0}, "image_size is 0 but must be 32 or more; efficientnet-lite0 .* 224"),
        ({"classes": -1}, "classes is -1"),
    ],
)
def test_configuration_that_fits_no_captioner_is_refused(
    change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        replace(CONFIG, **change)


def test_vocabulary_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="12 words, the vocabulary has 11: they do not belong"):
        Captioner(CONFIG, Vocabulary(WORDS[:-1]))


def test_decoder_reads_what_the_encoder_gives(captioner: Captioner) -> None:
    assert captioner.encoder.output_shape == (None, 2, 2, 1280)
    assert captioner.decoder.project.kernel.shape == (1280, SMALL.width)
