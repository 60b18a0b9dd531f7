"""Tests of the captioner and its configuration."""

from typing import Any

import pytest

from models.captioner import Captioner, CaptionerConfig
from models.vocabulary import Vocabulary
from tests.models.conftest import SMALL, WORDS

CONFIG = CaptionerConfig("efficientnet-lite0", 64, SMALL)


def test_configuration_comes_back_from_json() -> None:
    assert CaptionerConfig.from_json(CONFIG.to_json()) == CONFIG


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoder": "resnet50"}, "no encoder is called 'resnet50'; there are efficientnet-lite0"),
        ({"color": "red"}, "malformed.*color"),
        ({"decoder": {"vocabulary_size": 12, "depth": 3}}, "malformed.*depth"),
        ({"decoder": {}}, "malformed.*vocabulary_size"),
        ({"decoder": None}, "malformed"),
        ({"decoder": {"vocabulary_size": 12, "width": 32, "heads": 3}}, "32 .* 3 heads"),
    ],
)
def test_malformed_configuration_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        CaptionerConfig.from_json({**CONFIG.to_json(), **change})


@pytest.mark.parametrize("field", ["encoder", "image_size", "decoder"])
def test_missing_field_is_refused(field: str) -> None:
    values = CONFIG.to_json()
    del values[field]

    with pytest.raises(ValueError, match=f"malformed.*{field}"):
        CaptionerConfig.from_json(values)


def test_vocabulary_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="12 words, the vocabulary has 11: they do not belong"):
        Captioner(CONFIG, Vocabulary(WORDS[:-1]))


def test_decoder_reads_what_the_encoder_gives(captioner: Captioner) -> None:
    assert captioner.encoder.output_shape == (None, 2, 2, 1280)
    assert captioner.decoder.project.kernel.shape == (1280, SMALL.width)
