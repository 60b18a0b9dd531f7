"""Tests of BLIP behind the captioners' interface; `stored` values are those of `transformers`."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.blip import BlipCaptionModel
from inference.captioners.blip.encoder import BlipEncoder
from inference.captioning.objective import LogitTerms
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.methods import available_methods
from inference.explanations.target import Target
from inference.progress import finish
from models.blip import Blip, SearchConfig, load_blip, teacher_forced_captions
from models.captioner import BeamCaption
from models.checkpoint import CheckpointError
from tests.support.blip import PLACE, folder, make_images, make_photo, stored, stored_maps

NAME = "untied"


@pytest.fixture(scope="module")
def model() -> BlipCaptionModel:
    """A captioner, read-only."""
    return BlipCaptionModel(folder(NAME))


@pytest.fixture(scope="module")
def image(model: BlipCaptionModel) -> NDArray[np.uint8]:
    """The image of the stored values, of the encoder's size."""
    return np.asarray(make_images(model.image_size)[0])


@pytest.fixture(scope="module")
def subject(model: BlipCaptionModel, image: NDArray[np.uint8]) -> CaptionedImage:
    """The image with the stored caption."""
    return CaptionedImage(model, image, tuple(stored(NAME)["tokens"][0].tolist()))


def expect_close(got: NDArray[np.floating], expected: NDArray[np.floating]) -> None:
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=atol)


def test_an_image_is_encoded_as_published(
    model: BlipCaptionModel, image: NDArray[np.uint8]
) -> None:
    expected = stored(NAME)["image_tokens"]
    expect_close(model.encode(list(make_images(model.image_size)[:2])), expected)
    expect_close(model.encode_pixels(image[None].astype(np.float32)), expected[:1])

    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    normal = (model.preprocess(make_photo()) / 255 - np.array(mean)) / np.array(deviation)
    expect_close(normal, stored(NAME)["photo"])


def test_the_cells_are_the_patches(model: BlipCaptionModel) -> None:
    encodings = stored(NAME)["image_tokens"]
    cells = model.cells(encodings)
    assert cells.shape[1:3] == model.grid_size == (3, 3)
    np.testing.assert_array_equal(cells[1, 2, 0], encodings[1, 1 + 2 * 3])

    replaced = model.with_cells(encodings, cells + 1)
    np.testing.assert_array_equal(replaced[:, 0], encodings[:, 0])
    np.testing.assert_array_equal(replaced[:, 1:], encodings[:, 1:] + 1)


def test_captions_are_the_search_s_and_are_not_calibrated(model: BlipCaptionModel) -> None:
    images, expected = make_images(model.image_size), stored(NAME)["beam3/tokens"]
    ended = [row for row in range(len(images)) if model.wording.end in expected[row]][:3]
    assert ended
    for row in ended:
        tokens = model.search(model.encode([images[row]]), 3).tokens[0]
        assert model.wording.strip(tokens) == model.wording.strip(expected[row])

    caption = model.caption(images[0])
    assert not model.calibrated
    assert caption.confidence is None
    assert caption.fallback is None
    assert all(word.prob is not None for word in caption.words)


def test_each_word_has_the_sum_of_its_tokens_maps(
    model: BlipCaptionModel, subject: CaptionedImage
) -> None:
    expected = stored_maps(NAME)["crossattention"][-1]
    spans = subject.spans
    assert any(span.stop - span.start > 1 for span in spans)

    (maps,) = model.live_maps(subject.grid[None], [subject.rescored])
    assert maps.method == "crossattention"
    assert len(maps.words) == len(spans)
    for span, map in zip(spans, maps.words, strict=True):
        expect_close(map.values, expected[span.start : span.stop].sum(axis=0))
    expect_close(maps.caption.values, expected.sum(axis=0))


def test_methods_explain_a_word_as_pytorch_does(
    model: BlipCaptionModel, subject: CaptionedImage
) -> None:
    stored_ = stored_maps(NAME)
    index, span = next(
        each for each in enumerate(subject.spans) if each[1].stop > each[1].start + 1
    )
    methods = available_methods(model)
    for name in ("gradcam", "hirescam", "gradcam-total", "crossattention"):
        maps = stored_["crossattention"][-1] if name == "crossattention" else stored_[name]
        got = finish(methods[name].explain(subject, Target("word", index))).values
        expect_close(got, np.maximum(maps[span.start : span.stop].sum(axis=0), 0))
    got = finish(methods["attention"].explain(subject, Target("word", index))).values
    expect_close(got, stored_["attention"][-1][span.start : span.stop].mean(axis=0))
    assert "readcam" not in methods


def test_the_tokens_of_a_caption_are_scored_together(
    model: BlipCaptionModel, subject: CaptionedImage
) -> None:
    encodings = np.concatenate([subject.grid[None], stored(NAME)["image_tokens"]])
    tokens = np.array(subject.tokens, np.int32)
    others = tokens[::-1]
    found = model.token_scores(encodings, tokens, np.stack([others, tokens], axis=1))

    rescored = model.rescore(encodings, [subject.tokens] * len(encodings))
    expect_close(found.log_probs, np.asarray(rescored.log_probs)[:, : len(tokens)])
    # Of the captions of another length, PyTorch's logits at the same places.
    expected = stored_maps(NAME)["logits"][: len(tokens)]
    expect_close(found.logits[0, : len(expected), 1], expected)
    swapped = model.token_scores(encodings, tokens, np.stack([tokens, others], axis=1))
    np.testing.assert_array_equal(swapped.logits[..., 0], found.logits[..., 1])


def test_the_gradient_at_the_pixels_is_per_grey_level(
    model: BlipCaptionModel, subject: CaptionedImage
) -> None:
    tokens = np.array(subject.tokens[: PLACE + 1], np.int32)
    plus = np.zeros_like(tokens)
    plus[PLACE] = tokens[PLACE]
    at_encoding = model.gradient(subject.grid, tokens, LogitTerms(plus, np.zeros_like(plus)))
    got = model.pixel_gradient(subject.pixels.astype(np.float32), at_encoding)
    expect_close(np.abs(got).max(axis=-1), stored_maps(NAME)["saliency"])


def test_another_layer_can_be_explained_and_the_vision_transformer_is_only_loaded_converted(
    model: BlipCaptionModel, subject: CaptionedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Blip) -> None:
        raise AssertionError("it was loaded in TensorFlow")

    monkeypatch.setattr(Blip, "load_encoder", fail)
    other = BlipCaptionModel(folder(NAME), layer=0)
    np.testing.assert_array_equal(other.encode([subject.image])[0], subject.grid)
    (maps,) = other.live_maps(subject.grid[None], [subject.rescored])
    expect_close(maps.caption.values, stored_maps(NAME)["crossattention"][0].sum(axis=0))


def test_a_layer_that_the_decoder_does_not_have_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="layers 0 to 1, but 2 is to be explained"):
        BlipCaptionModel(folder(NAME), layer=2)


def test_encoder_of_several_parts_is_the_whole_one(empty_cache: Path) -> None:
    blip = load_blip(folder("deep"))
    images = make_images(blip.config.vision_config.image_size)[:2]

    for cached in (False, True):
        encoder = BlipEncoder(blip, "float32", threads=1)
        expected = stored("deep")["image_tokens"]
        np.testing.assert_allclose(encoder(images), expected, atol=1e-5, err_msg=f"{cached}")


def test_int8_is_converted_at_the_first_start(empty_cache: Path) -> None:
    blip = load_blip(folder("wide"))
    encoder = BlipEncoder(blip, "int8", threads=1)
    (file,) = (empty_cache / "sightline" / "encoders").iterdir()
    assert file.name.endswith(".int8")

    images = make_images(blip.config.vision_config.image_size)[:2]
    assert 0 < np.abs(encoder(images) - stored("wide")["image_tokens"]).max() < 0.2
    size = file.stat().st_size
    BlipEncoder(blip, "float32", threads=1)
    assert max(each.stat().st_size for each in file.parent.iterdir()) > 1.3 * size


@pytest.fixture(scope="module")
def quantized() -> BlipCaptionModel:
    """A captioner in int8, whose decoder is converted in two parts of unequal size; read-only."""
    return BlipCaptionModel(folder("wide"), "int8")


@pytest.mark.parametrize("width", [1, 3])
def test_int8_search_has_nearly_the_probabilities_of_float32(
    quantized: BlipCaptionModel, width: int
) -> None:
    encodings = stored("wide")["image_tokens"]

    found = quantized.search(encodings, width)

    decoder = load_blip(folder("wide")).decoder
    config, memory = SearchConfig(max_length=20), decoder.build_memory(encodings)
    expected = teacher_forced_captions(decoder, memory, found.tokens, config)
    deviation = np.abs(found.search_log_probs - expected.search_log_probs)
    assert 0 < deviation.mean() < 0.05
    assert deviation.max() < 0.3
    assert found.scores.shape == (len(encodings), width)


def test_int8_search_finds_the_captions_of_float32(quantized: BlipCaptionModel) -> None:
    images, expected = make_images(quantized.image_size), stored("wide")["beam3/tokens"]
    strip = quantized.wording.strip
    ended = [row for row in range(len(images)) if quantized.wording.end in expected[row]]

    found = quantized.search(quantized.encode([images[row] for row in ended]), 3).tokens

    same = [strip(a) == strip(b) for a, b in zip(found, expected[ended], strict=True)]
    assert len(same) >= 5
    assert np.mean(same) >= 0.8


def test_maps_follow_the_image_when_encodings_change(
    model: BlipCaptionModel, subject: CaptionedImage
) -> None:
    encodings = stored(NAME)["image_tokens"]
    rows = [model.rescore(each[None], [subject.tokens]) for each in encodings]
    captions = [BeamCaption(*(part[0] for part in row)) for row in rows]
    for encoding, caption in zip(encodings, captions, strict=True):
        alone = model.live_maps(encoding[None], [caption])[0]
        together = model.live_maps(encodings, captions)
        assert any(
            np.allclose(each.caption.values, alone.caption.values, atol=1e-6) for each in together
        )
    one, other = (model.live_maps(each[None], captions[:1])[0] for each in encodings)
    assert not np.allclose(one.caption.values, other.caption.values)
