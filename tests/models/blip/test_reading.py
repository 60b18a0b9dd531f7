"""Tests of reading BLIP captioners, but for the values, which `test_networks.py` tests."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.blip import load_blip
from models.blip.reading import WEIGHTS
from models.checkpoint import CheckpointError
from tests.support.blip import folder

WORDS = "text_decoder.bert.embeddings.word_embeddings.weight"
OUTPUT = "text_decoder.cls.predictions.decoder.weight"
FILES = ("config.json", "preprocessor_config.json", "vocab.txt", WEIGHTS)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of a checkpoint, which tests may spoil."""
    path = tmp_path / "model"
    path.mkdir()
    for file in folder("plain").iterdir():
        if file.suffix != ".npz":
            shutil.copyfile(file, path / file.name)
    return path


def change_config(copy: Path, part: str | None = None, **values: Any) -> None:
    path = copy / "config.json"
    config = json.loads(path.read_text())
    (config[part] if part else config).update(values)
    path.write_text(json.dumps(config))


def change_weights(copy: Path, **arrays: Any) -> None:
    """Replace arrays by names with "." for "__"; None removes one."""
    weights = load_file(copy / WEIGHTS)
    for name, array in arrays.items():
        weights.pop(name.replace("__", "."), None)
        if array is not None:
            weights[name.replace("__", ".")] = array
    save_file(weights, copy / WEIGHTS)


def expect_refused(copy: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as refused:
        load_blip(copy).load_encoder()
    text = str(refused.value)
    assert text.startswith(f"{copy} cannot be loaded: ")
    assert "\n" not in text
    assert len(text) < 500


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()

    expect_refused(copy, rf"{name} is missing; download the whole model again")


def test_weights_that_can_hold_code_are_not_read(copy: Path) -> None:
    (copy / WEIGHTS).rename(copy / "pytorch_model.bin")

    expect_refused(copy, rf"{WEIGHTS} is missing; .* choose a revision with safetensors")


def test_weights_in_several_files_are_refused_with_advice(copy: Path) -> None:
    (copy / WEIGHTS).rename(copy / "model-00001-of-00002.safetensors")
    (copy / f"{WEIGHTS}.index.json").write_text("{}")

    expect_refused(copy, rf"{WEIGHTS} is missing; weights in several files .* join them into this")


@pytest.mark.parametrize("size", [0, 4, 1000, 40_000])
def test_truncated_weights_are_refused(copy: Path, size: int) -> None:
    content = (copy / WEIGHTS).read_bytes()
    assert size < len(content)
    (copy / WEIGHTS).write_bytes(content[:size])

    expect_refused(copy, rf"{WEIGHTS} is truncated or not a safetensors file .*; download")


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize(
    "content", [b"", b'{"model_type": "bl', b"\xff\xfe", b"[1]", b"[" * 100_000]
)
def test_truncated_json_is_refused(copy: Path, name: str, content: bytes) -> None:
    (copy / name).write_bytes(content)

    expect_refused(copy, rf"{name} (is truncated or not JSON|holds no JSON object).*; download")


def test_other_architectures_are_refused(copy: Path) -> None:
    change_config(copy, architectures=["BlipForQuestionAnswering"])
    expect_refused(copy, "BlipForQuestionAnswering, which does not caption .*ConditionalGeneration")

    change_config(copy, architectures=["BlipForConditionalGeneration", 5])
    expect_refused(copy, "BlipForConditionalGeneration, 5, which does not caption")

    change_config(copy, model_type="vit")
    expect_refused(copy, r"config\.json is of a model of type vit, not of type blip")


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("text_config", {"hidden_size": 32}, r"word_embeddings.* \(\d+, 16\) .* \(\d+, 32\)"),
        ("text_config", {"hidden_size": 10**9}, "word_embeddings"),
        (
            "text_config",
            {"num_hidden_layers": 3},
            r"has no .*layer\.2\..*which config.json requires",
        ),
        ("text_config", {"num_hidden_layers": 1}, r"layer\.1\..*config.json does not mention"),
        ("text_config", {"intermediate_size": 64}, r"intermediate.*\(32, 16\).*\(64, 16\)"),
        ("text_config", {"num_attention_heads": 3}, "16 is not divisible by num_attention_heads 3"),
        ("text_config", {"hidden_act": "relu"}, "text_config.hidden_act: Input should be 'gelu'"),
        ("text_config", {"pad_token_id": 5}, "text_config.pad_token_id: Input should be 0"),
        ("text_config", {"sep_token_id": 5}, r"vocab\.txt has '\[MASK\]' as token 5"),
        ("text_config", {"sep_token_id": 10**6}, "sep_token_id is 1000000, but vocab_size is"),
        ("text_config", {"bos_token_id": 4}, "must differ"),
        ("text_config", {"vocab_size": 30524}, r"vocab\.txt has \d+ word pieces, .* of 30524"),
        ("vision_config", {"image_size": 48}, "resizes images to 32x32 .* takes 48x48"),
        (
            "vision_config",
            {"patch_size": 16},
            r"patch_embedding.*\(16, 3, 8, 8\).*\(16, 3, 16, 16\)",
        ),
        ("vision_config", {"patch_size": 64}, "patch_size 64 is larger than image_size 32"),
        ("vision_config", {"num_hidden_layers": 1}, r"layers\.1\..*config.json does not mention"),
        ("vision_config", {"hidden_size": 0}, "vision_config.hidden_size: Input should be greater"),
        (None, {"text_config": None}, "text_config: "),
    ],
)
def test_configuration_of_another_model_is_refused(
    copy: Path, part: str | None, values: dict[str, Any], message: str
) -> None:
    change_config(copy, part, **values)

    expect_refused(copy, message)


def test_vocabulary_of_another_model_is_refused(copy: Path) -> None:
    vocabulary = copy / "vocab.txt"
    pieces = vocabulary.read_text().splitlines()

    vocabulary.write_text("\n".join([*pieces, *"abc"]))
    expect_refused(copy, r"vocab\.txt has \d+ word pieces, but config.json states a vocabulary of")
    vocabulary.write_text("\n".join(["the", *pieces[1:]]))
    expect_refused(copy, r"vocab\.txt has 'the' as token 0, but config.json requires '\[PAD\]'")
    vocabulary.write_text("\n".join(pieces).replace("[UNK]", "dogs"))
    expect_refused(copy, r"vocab\.txt has no \[UNK\]; download")
    vocabulary.write_bytes(b"\xff\xfe\x00")
    expect_refused(copy, r"vocab\.txt is damaged or not text")


@pytest.mark.parametrize(
    ("name", "value"), [(WORDS, np.nan), ("vision_model.post_layernorm.bias", np.inf)]
)
def test_weights_that_are_not_finite_are_refused(copy: Path, name: str, value: float) -> None:
    array = load_file(copy / WEIGHTS)[name]
    array.flat[3] = value
    change_weights(copy, **{name: array})

    expect_refused(copy, f"{name} in {WEIGHTS} has values that are not finite numbers")


def test_quantized_weights_are_refused(copy: Path) -> None:
    name = "vision_model.post_layernorm.bias"
    change_weights(copy, **{name: np.zeros(16, np.int8)})

    expect_refused(copy, f"{name} in {WEIGHTS} is stored as I8; use a model .* not quantized")


def test_weight_that_is_missing_or_has_another_shape_is_named(copy: Path) -> None:
    name = "text_decoder.bert.encoder.layer.0.crossattention.self.key.bias"
    change_weights(copy, **{name: None})
    expect_refused(copy, f"{WEIGHTS} has no {name}, which config.json requires; download")

    change_weights(copy, **{name: np.zeros(15, np.float32)})
    expect_refused(copy, rf"{name} has shape \(15,\) .* requires \(16,\)")


@pytest.mark.parametrize("kept", [WORDS, OUTPUT])
def test_weights_that_are_tied_may_be_stored_once(copy: Path, kept: str) -> None:
    expected = np.asarray(load_blip(copy).decoder.words)
    change_weights(copy, **{name: None for name in (WORDS, OUTPUT) if name != kept})

    decoder = load_blip(copy).decoder

    assert decoder.output_words is decoder.words
    np.testing.assert_array_equal(decoder.words, expected)


def test_weights_that_differ_are_not_tied(copy: Path) -> None:
    words = load_file(copy / WEIGHTS)[WORDS]
    change_weights(copy, **{OUTPUT: words + 1})

    decoder = load_blip(copy).decoder

    np.testing.assert_array_equal(decoder.output_words, words + 1)
    np.testing.assert_array_equal(decoder.words, words)


def test_output_weights_are_required_unless_they_are_tied(copy: Path) -> None:
    change_weights(copy, **{OUTPUT: None})
    change_config(copy, tie_word_embeddings=False)
    change_config(copy, "text_config", tie_word_embeddings=False)

    expect_refused(copy, f"{WEIGHTS} has no {OUTPUT}, which config.json requires")


def test_older_files_are_read(copy: Path) -> None:
    """They store a constant, and the size of images as a number; unknown keys are ignored."""
    change_weights(copy, **{"text_decoder.bert.embeddings.position_ids": np.arange(64)[None]})
    change_config(copy, "text_config", max_length=20, _name_or_path="")
    (copy / "tokenizer_config.json").unlink()
    (copy / "preprocessor_config.json").write_text('{"size": 32, "resample": 3}')

    blip = load_blip(copy)

    assert blip.load_encoder().output_shape == (None, 17, 16)
    assert blip.word_pieces.encode("DOG") == blip.word_pieces.encode("dog")


def test_digest_of_the_encoder_depends_on_its_weights_and_images_alone(copy: Path) -> None:
    digest = load_blip(copy).encoder_digest()

    change_weights(copy, **{"text_decoder.cls.predictions.transform.dense.bias": np.ones(16)})
    assert load_blip(copy).encoder_digest() == digest
    change_weights(copy, **{"vision_model.post_layernorm.bias": np.ones(16)})
    changed = load_blip(copy).encoder_digest()
    assert changed != digest
    (copy / "preprocessor_config.json").write_text('{"size": 32, "image_mean": [0, 0, 0]}')
    assert load_blip(copy).encoder_digest() not in (digest, changed)


@pytest.mark.parametrize(
    ("part", "stored"),
    [
        ("text_config", "text_decoder.bert.encoder.layer.{}.intermediate.dense.weight"),
        ("vision_config", "vision_model.encoder.layers.{}.mlp.fc1.weight"),
    ],
)
def test_layers_are_counted_before_they_are_built(copy: Path, part: str, stored: str) -> None:
    weights = load_file(copy / WEIGHTS)
    change_config(copy, part, num_hidden_layers=10**9)
    change_weights(copy, **{stored.format(10**9 - 1): weights[stored.format(0)]})

    expect_refused(copy, r"has no .*layers?\.\d\..*, which config.json requires")
