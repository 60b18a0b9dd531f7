"""Tests of checkpoints: saving, loading and the messages for damaged folders."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import FORMAT, CheckpointError, ModelCard, load, read_card, save
from models.language import Vocabulary

CARD = ModelCard(
    name="small",
    data="nothing at all",
    licence="Apache-2.0",
    figures={"cider": 0.5, "bleu_4": 0.25},
    beam=BeamConfig(width=2, max_length=7, length_power=0.9, alternatives=3),
)


@pytest.fixture(scope="module")
def saved(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "new" / "small"
    save(folder, captioner, CARD)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


def test_captioner_is_saved_in_half_precision(captioner: Captioner, saved: Path) -> None:
    loaded, card = load(saved)

    assert card == read_card(saved) == CARD
    assert loaded.config == captioner.config
    assert loaded.vocabulary.words == captioner.vocabulary.words
    for part, made in (("encoder", captioner.encoder), ("decoder", captioner.decoder)):
        weights = getattr(loaded, part).get_weights()
        for got, original in zip(weights, made.get_weights(), strict=True):
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, original.astype(np.float16))


def test_loaded_captioner_gives_the_same_logits(captioner: Captioner, saved: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    words = np.full((1, 1, 4), 5)

    logits = [
        np.asarray(made.decoder((made.encoder(pixels), words)))
        for made in (captioner, load(saved)[0])
    ]

    # Half precision has 11 bits, so a weight's relative error is at most 1/2000.
    assert np.abs(logits[0] - logits[1]).max() < 0.02 * np.ptp(logits[0])


def test_files_are_small_and_plain(captioner: Captioner, saved: Path) -> None:
    files = {path.name: path.stat().st_size for path in saved.iterdir()}

    assert files.keys() == {"config.json", "vocabulary.txt", "weights.npz"}
    parameters = captioner.encoder.count_params() + captioner.decoder.count_params()
    # Two bytes for each, and the names and shapes of the arrays.
    arrays = len(captioner.encoder.weights) + len(captioner.decoder.weights)
    assert files["weights.npz"] < 2 * parameters + 400 * arrays
    assert json.loads((saved / "config.json").read_text())["card"]["name"] == "small"


def change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def change_arrays(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "weights.npz"
    with np.load(path) as stored:
        arrays: dict[str, Any] = dict(stored)
    change(arrays)
    np.savez(path, **arrays)


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def truncate(path: Path, size: int) -> None:
    content = path.read_bytes()
    assert size < len(content)
    path.write_bytes(content[:size])


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def one_array() -> bytes:
    stored = io.BytesIO()
    np.save(stored, np.zeros(3))
    return stored.getvalue()


def downgrade(folder: Path) -> None:
    """Turn a checkpoint into one of format 1, which had no digests."""

    def remove_fields(values: dict[str, Any]) -> None:
        for name in ("format", "grid", "sha256"):
            del values[name]

    change_config(folder, remove_fields)


def change_architecture(folder: Path, **fields: Any) -> None:
    change_config(folder, lambda values: values["captioner"].update(fields))


def change_decoder(folder: Path, **fields: Any) -> None:
    change_config(folder, lambda values: values["captioner"]["decoder"].update(fields))


def change_card(folder: Path, **fields: Any) -> None:
    change_config(folder, lambda values: values["card"].update(fields))


def take_from_another(folder: Path, file: str) -> None:
    """Replace a file by that of a captioner with the same architecture and another vocabulary."""
    captioner, card = load(folder)
    words = captioner.vocabulary.words
    other = Captioner(captioner.config, Vocabulary((*words[:-2], words[-1], words[-2])))
    save(folder / "other", other, card)
    (folder / "other" / file).replace(folder / file)


BIAS = "decoder/lstm/bias"

Damage = tuple[Callable[[Path], object], str]

DAMAGES: dict[str, Damage] = {
    "no config": (
        lambda f: (f / "config.json").unlink(),
        "config.json is missing; give the folder of a complete checkpoint",
    ),
    "empty config": (
        lambda f: truncate(f / "config.json", 0),
        "config.json is truncated or not JSON",
    ),
    "truncated config": (
        lambda f: truncate(f / "config.json", 40),
        "config.json is truncated or not",
    ),
    "config that is not text": (
        lambda f: (f / "config.json").write_bytes(b"\xff\xfe"),
        "config.json is truncated or not JSON",
    ),
    "config that is a list": (
        lambda f: (f / "config.json").write_text("[]"),
        "config.json: .*Input should be",
    ),
    "config of a later format": (
        lambda f: change_config(f, lambda v: v.update(format=FORMAT + 1, colour="red")),
        rf"config.json has format {FORMAT + 1}, .* up to {FORMAT}; update Sightline",
    ),
    "config with an unknown field": (
        lambda f: change_architecture(f, colour="red"),
        r"config.json: captioner.colour: Unexpected.*copy the whole checkpoint folder",
    ),
    "no card": (lambda f: change_config(f, lambda v: v.pop("card")), "card: Field required"),
    "card without a name": (
        lambda f: change_config(f, lambda v: v["card"].pop("name")),
        "card.name: Field required",
    ),
    "figures that are not numbers": (
        lambda f: change_card(f, figures={"cider": "high"}),
        "card.figures.cider: .*number",
    ),
    "beam without width": (
        lambda f: change_config(f, lambda v: v["card"]["beam"].update(width=0)),
        "beam search: width and max_length must be 1 or more",
    ),
    "no architecture": (
        lambda f: change_config(f, lambda v: v.pop("captioner")),
        "captioner: Field required",
    ),
    "no grid": (lambda f: change_config(f, lambda v: v.pop("grid")), "grid or sha256 is missing"),
    "no digests": (
        lambda f: change_config(f, lambda v: v.pop("sha256")),
        "grid or sha256 is missing",
    ),
    "unknown encoder": (
        lambda f: change_architecture(f, encoder="resnet50"),
        "unknown encoder 'resnet50'; choose one of efficientnet-lite0",
    ),
    "an encoder of another grid": (
        lambda f: change_architecture(f, encoder="efficientnetv2-b2"),
        r"efficientnetv2-b2 makes a grid of \(2, 2, 1408\) from images of 64 pixels, but the "
        r"decoder was trained on \(2, 2, 1280\)",
    ),
    "an encoder of the same grid": (
        lambda f: change_architecture(f, encoder="efficientnet-lite1"),
        "weights.npz and config.json differ in efficientnet-lite-thin",
    ),
    "another image size": (
        lambda f: change_architecture(f, image_size=96),
        r"a grid of \(3, 3, 1280\) from images of 96 pixels, .* trained on \(2, 2, 1280\)",
    ),
    "image size of 0": (
        lambda f: change_architecture(f, image_size=0),
        "image_size is 0 but must be 32",
    ),
    "image size as text": (
        lambda f: change_architecture(f, image_size="64"),
        "captioner.image_size: .*integer",
    ),
    "a classifier that does not exist": (
        lambda f: change_architecture(f, classes=1000),
        "weights.npz and config.json differ in classifier/classifier/bias",
    ),
    "tags without a classifier": (
        lambda f: change_card(
            f, tags={"slope": 1.0, "offset": 0.0, "penalties": {}, "threshold": 0.8}
        ),
        "card has tags, which need a classifier of 1000 classes, not of 0",
    ),
    "another width": (
        lambda f: change_decoder(f, width=64),
        r"shape \(1280, 32\) in weights.npz, but config.json requires \(1280, 64\)",
    ),
    "width as text": (lambda f: change_decoder(f, width="32"), "decoder.width: .*integer"),
    "heads that do not divide the width": (
        lambda f: change_decoder(f, heads=3),
        "width 32 is not divisible by 3 heads",
    ),
    "no vocabulary": (lambda f: (f / "vocabulary.txt").unlink(), "vocabulary.txt is missing"),
    "an additional word": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", "dog\nzebra\n"),
        "vocabulary.txt has 13 words, but the captioner was trained with 12",
    ),
    "a missing word": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", ""),
        "vocabulary.txt has 11 words, but the captioner was trained with 12",
    ),
    "words in another order": (
        lambda f: replace_text(f / "vocabulary.txt", "ball\non\n", "on\nball\n"),
        "vocabulary.txt does not have the words, or the word order",
    ),
    "another word": (
        lambda f: replace_text(f / "vocabulary.txt", "ball\n", "bull\n"),
        "vocabulary.txt does not have the words",
    ),
    "another captioner's vocabulary": (
        lambda f: take_from_another(f, "vocabulary.txt"),
        "vocabulary.txt does not have the words, or the word order",
    ),
    "a word twice": (
        lambda f: replace_text(f / "vocabulary.txt", "ball\n", "dog\n"),
        "the word 'dog' twice",
    ),
    "vocabulary that is not text": (
        lambda f: (f / "vocabulary.txt").write_bytes(b"\xff\xfe"),
        "vocabulary.txt is damaged or not text",
    ),
    "no weights": (lambda f: (f / "weights.npz").unlink(), "weights.npz is missing"),
    "empty weights": (
        lambda f: truncate(f / "weights.npz", 0),
        "weights.npz is truncated, damaged",
    ),
    "truncated weights": (
        lambda f: truncate(f / "weights.npz", 100_000),
        "weights.npz is truncated, damaged or from another captioner",
    ),
    "a flipped bit": (
        lambda f: flip(f / "weights.npz", 300_000),
        "weights.npz is truncated, damaged",
    ),
    "another captioner's weights": (
        lambda f: take_from_another(f, "weights.npz"),
        "weights.npz is truncated, damaged or from another captioner",
    ),
    "another captioner's config": (
        lambda f: take_from_another(f, "config.json"),
        "vocabulary.txt does not have the words",
    ),
}

DAMAGES_WITHOUT_DIGESTS: dict[str, Damage] = {
    "no weights": (lambda f: (f / "weights.npz").unlink(), "loaded: weights.npz is missing"),
    "truncated weights": (
        lambda f: truncate(f / "weights.npz", 100_000),
        "weights.npz is truncated or damaged",
    ),
    "empty weights": (
        lambda f: truncate(f / "weights.npz", 0),
        "weights.npz is truncated or damaged",
    ),
    "weights that are not an archive": (
        lambda f: (f / "weights.npz").write_bytes(b"version https://git-lfs"),
        "weights.npz is truncated or damaged",
    ),
    "one array for all weights": (
        lambda f: (f / "weights.npz").write_bytes(one_array()),
        "weights.npz is truncated or damaged",
    ),
    "a flipped bit": (lambda f: flip(f / "weights.npz", 300_000), "weights.npz is truncated or"),
    "a missing array": (lambda f: change_arrays(f, lambda a: a.pop(BIAS)), f"differ in {BIAS}"),
    "an additional array": (
        lambda f: change_arrays(f, lambda a: a.update({"decoder/extra": np.zeros(3)})),
        "differ in decoder/extra",
    ),
    "an array of text": (
        lambda f: change_arrays(f, lambda a: a.update({BIAS: np.full(128, "three")})),
        f"{BIAS} in weights.npz has values that are not finite numbers",
    ),
    "an array that is not finite": (
        lambda f: change_arrays(f, lambda a: a.update({BIAS: np.full(128, np.nan)})),
        f"{BIAS} in weights.npz has values that are not finite numbers: the training diverged",
    ),
    "an additional word": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", "dog\nzebra\n"),
        "vocabulary.txt has 13 words, but the captioner was trained with 12",
    ),
}


def expect_refusal(folder: Path, problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem) as refused:
        load(folder)
    assert str(refused.value).startswith(f"{folder} ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folder_is_refused(folder: Path, damage: str) -> None:
    cause, problem = DAMAGES[damage]
    cause(folder)

    expect_refusal(folder, problem)


@pytest.mark.parametrize("damage", DAMAGES_WITHOUT_DIGESTS)
def test_damaged_folder_without_digests_is_refused(folder: Path, damage: str) -> None:
    downgrade(folder)
    cause, problem = DAMAGES_WITHOUT_DIGESTS[damage]
    cause(folder)

    expect_refusal(folder, problem)


@given(position=strategies.integers(0, 10**9), size=strategies.integers(1, 64))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_weights_damaged_anywhere_are_refused(
    saved: Path, tmp_path: Path, position: int, size: int
) -> None:
    for file in saved.iterdir():
        if file.name != "weights.npz":
            shutil.copy(file, tmp_path)
    content = bytearray((saved / "weights.npz").read_bytes())
    position %= len(content)
    content[position : position + size] = bytes(b ^ 0xFF for b in content[position:][:size])
    (tmp_path / "weights.npz").write_bytes(content)

    expect_refusal(tmp_path, "weights.npz is truncated, damaged or from another captioner")


def test_checkpoint_of_format_1_is_loaded(captioner: Captioner, folder: Path) -> None:
    downgrade(folder)

    assert load(folder)[0].config == captioner.config


def test_line_endings_of_the_vocabulary_do_not_matter(folder: Path) -> None:
    path = folder / "vocabulary.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert load(folder)[0].vocabulary.words[-1] == "red"


def test_diverged_training_is_reported(captioner: Captioner, tmp_path: Path) -> None:
    diverged = Captioner(captioner.config, captioner.vocabulary)
    diverged.decoder.word_bias.assign(np.full(12, np.inf))
    save(tmp_path, diverged, CARD)

    expect_refusal(tmp_path, "not finite numbers: the training diverged; train again with a lower")


def test_values_beyond_half_precision_are_kept(captioner: Captioner, tmp_path: Path) -> None:
    made = Captioner(captioner.config, captioner.vocabulary)
    made.decoder.word_bias.assign(np.full(12, 123456.0))
    save(tmp_path, made, CARD)

    np.testing.assert_array_equal(load(tmp_path)[0].decoder.word_bias, np.full(12, 123456.0))


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere is not a captioner checkpoint"):
        load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="nowhere is not a captioner checkpoint"):
        read_card(tmp_path / "nowhere")


def test_card_can_be_read_without_the_weights(folder: Path) -> None:
    (folder / "weights.npz").unlink()

    assert read_card(folder) == CARD


def test_saving_again_replaces(captioner: Captioner, folder: Path) -> None:
    save(folder, captioner, replace(CARD, name="newer"))

    assert load(folder)[1].name == "newer"
