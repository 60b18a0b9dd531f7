"""Tests of a captioner's folder."""

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
from models.checkpoint import FORMAT, Card, ReleaseError, load, read_card, save
from models.language.vocabulary import Vocabulary

CARD = Card(
    name="small",
    data="nothing at all",
    licence="Apache-2.0",
    figures={"cider": 0.5, "bleu_4": 0.25},
    beam=BeamConfig(width=2, max_length=7, length_power=0.9, alternatives=3),
)


@pytest.fixture(scope="module")
def saved(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "new" / "small"
    save(folder, captioner, CARD)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


def test_captioner_comes_back_in_half_precision(captioner: Captioner, saved: Path) -> None:
    loaded, card = load(saved)

    assert card == read_card(saved) == CARD
    assert loaded.config == captioner.config
    assert loaded.vocabulary.words == captioner.vocabulary.words
    for part, made in (("encoder", captioner.encoder), ("decoder", captioner.decoder)):
        weights = getattr(loaded, part).get_weights()
        for got, original in zip(weights, made.get_weights(), strict=True):
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, original.astype(np.float16))


def test_captioner_that_came_back_says_the_same(captioner: Captioner, saved: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    words = np.full((1, 1, 4), 5)

    logits = [
        np.asarray(made.decoder((made.encoder(pixels), words)))
        for made in (captioner, load(saved)[0])
    ]

    # Half precision has 11 bits, so a weight is off by a 2000th at most.
    assert np.abs(logits[0] - logits[1]).max() < 0.02 * np.ptp(logits[0])


def test_released_files_are_small_and_plain(captioner: Captioner, saved: Path) -> None:
    files = {path.name: path.stat().st_size for path in saved.iterdir()}

    assert files.keys() == {"config.json", "vocabulary.txt", "weights.npz"}
    parameters = captioner.encoder.count_params() + captioner.decoder.count_params()
    assert files["weights.npz"] < 2.1 * parameters
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


def forget_sums(folder: Path) -> None:
    """Make it a folder of the first format, which had none."""

    def forget(values: dict[str, Any]) -> None:
        for later in ("format", "grid", "sha256"):
            del values[later]

    change_config(folder, forget)


def change_shape(folder: Path, **fields: Any) -> None:
    change_config(folder, lambda values: values["captioner"].update(fields))


def change_decoder(folder: Path, **fields: Any) -> None:
    change_config(folder, lambda values: values["captioner"]["decoder"].update(fields))


def change_card(folder: Path, **fields: Any) -> None:
    change_config(folder, lambda values: values["card"].update(fields))


def take_from_another(folder: Path, file: str) -> None:
    """Take a file of a captioner that has the same shape, as one trained anew would have."""
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
        "config.json is missing; give the folder",
    ),
    "empty config": (lambda f: truncate(f / "config.json", 0), "config.json is cut off or no JSON"),
    "config cut off": (lambda f: truncate(f / "config.json", 40), "config.json is cut off or no"),
    "config that is no text": (
        lambda f: (f / "config.json").write_bytes(b"\xff\xfe"),
        "config.json is cut off or no JSON",
    ),
    "config that is a list": (
        lambda f: (f / "config.json").write_text("[]"),
        "config.json: .*Input should be",
    ),
    "config of a later format": (
        lambda f: change_config(f, lambda v: v.update(format=FORMAT + 1, colour="red")),
        rf"config.json has format {FORMAT + 1}, .* up to {FORMAT}: update Sightline",
    ),
    "config with a field that nobody knows": (
        lambda f: change_shape(f, colour="red"),
        r"config.json: captioner.colour: Unexpected.*copy the captioner's whole folder",
    ),
    "no card": (lambda f: change_config(f, lambda v: v.pop("card")), "card: Field required"),
    "card without a name": (
        lambda f: change_config(f, lambda v: v["card"].pop("name")),
        "card.name: Field required",
    ),
    "figures that are no numbers": (
        lambda f: change_card(f, figures={"cider": "high"}),
        "card.figures.cider: .*number",
    ),
    "beam of no width": (
        lambda f: change_config(f, lambda v: v["card"]["beam"].update(width=0)),
        "a beam search needs",
    ),
    "no shape": (
        lambda f: change_config(f, lambda v: v.pop("captioner")),
        "captioner: Field required",
    ),
    "no grid": (lambda f: change_config(f, lambda v: v.pop("grid")), "grid or sha256 is missing"),
    "no sums": (lambda f: change_config(f, lambda v: v.pop("sha256")), "grid or sha256 is missing"),
    "unknown encoder": (
        lambda f: change_shape(f, encoder="resnet50"),
        "no encoder is called 'resnet50'; there are efficientnet-lite0",
    ),
    "an encoder of another grid": (
        lambda f: change_shape(f, encoder="efficientnetv2-b2"),
        r"efficientnetv2-b2 makes a grid of \(2, 2, 1408\) of pictures of 64 pixels, the decoder "
        r"was trained on \(2, 2, 1280\)",
    ),
    "an encoder of the same grid": (
        lambda f: change_shape(f, encoder="efficientnet-lite1"),
        "weights.npz and config.json differ in efficientnet-lite0",
    ),
    "another size of pictures": (
        lambda f: change_shape(f, image_size=96),
        r"a grid of \(3, 3, 1280\) of pictures of 96 pixels, .* trained on \(2, 2, 1280\)",
    ),
    "no size of pictures": (
        lambda f: change_shape(f, image_size=0),
        "image_size is 0 but must be 32",
    ),
    "picture's size as text": (
        lambda f: change_shape(f, image_size="64"),
        "captioner.image_size: .*integer",
    ),
    "a classifier that there is not": (
        lambda f: change_shape(f, classes=1000),
        "weights.npz and config.json differ in classifier/classifier/bias",
    ),
    "tags without a classifier": (
        lambda f: change_card(
            f, tags={"slope": 1.0, "offset": 0.0, "doubts": {}, "threshold": 0.8}
        ),
        "card has tags, which need a classifier of 1000 classes, not of 0",
    ),
    "another width": (
        lambda f: change_decoder(f, width=64),
        r"as \(1280, 32\), config.json asks for \(1280, 64\)",
    ),
    "width as text": (lambda f: change_decoder(f, width="32"), "decoder.width: .*integer"),
    "heads that do not divide the width": (
        lambda f: change_decoder(f, heads=3),
        "width 32 does not divide into 3 heads",
    ),
    "no vocabulary": (lambda f: (f / "vocabulary.txt").unlink(), "vocabulary.txt is missing"),
    "a word more": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", "dog\nzebra\n"),
        "made for 12 words, vocabulary.txt has 13: they do not",
    ),
    "a word less": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", ""),
        "made for 12 words, vocabulary.txt has 11: they do not",
    ),
    "words in another order": (
        lambda f: replace_text(f / "vocabulary.txt", "ball\non\n", "on\nball\n"),
        "vocabulary.txt has not the words, or not in the order",
    ),
    "another word": (
        lambda f: replace_text(f / "vocabulary.txt", "ball\n", "bull\n"),
        "vocabulary.txt has not the words",
    ),
    "another captioner's vocabulary": (
        lambda f: take_from_another(f, "vocabulary.txt"),
        "vocabulary.txt has not the words, or not in the order",
    ),
    "a word twice": (
        lambda f: replace_text(f / "vocabulary.txt", "ball\n", "dog\n"),
        "the word 'dog' twice",
    ),
    "vocabulary that is no text": (
        lambda f: (f / "vocabulary.txt").write_bytes(b"\xff\xfe"),
        "vocabulary.txt is damaged or no text",
    ),
    "no weights": (lambda f: (f / "weights.npz").unlink(), "weights.npz is missing"),
    "empty weights": (lambda f: truncate(f / "weights.npz", 0), "weights.npz is cut off, damaged"),
    "weights cut off": (
        lambda f: truncate(f / "weights.npz", 1_000_000),
        "weights.npz is cut off, damaged or another captioner's",
    ),
    "a flipped bit": (lambda f: flip(f / "weights.npz", 3_000_000), "weights.npz is cut off, dam"),
    "another captioner's weights": (
        lambda f: take_from_another(f, "weights.npz"),
        "weights.npz is cut off, damaged or another captioner's",
    ),
    "another captioner's config": (
        lambda f: take_from_another(f, "config.json"),
        "vocabulary.txt has not the words",
    ),
}

DAMAGES_WITHOUT_SUMS: dict[str, Damage] = {
    "no weights": (lambda f: (f / "weights.npz").unlink(), "loaded: weights.npz is missing"),
    "weights cut off": (
        lambda f: truncate(f / "weights.npz", 1_000_000),
        "weights.npz is cut off or damaged",
    ),
    "empty weights": (
        lambda f: truncate(f / "weights.npz", 0),
        "weights.npz is cut off or damaged",
    ),
    "weights that are no archive": (
        lambda f: (f / "weights.npz").write_bytes(b"version https://git-lfs"),
        "weights.npz is cut off or damaged",
    ),
    "one array for all weights": (
        lambda f: (f / "weights.npz").write_bytes(one_array()),
        "weights.npz is cut off or damaged",
    ),
    "a flipped bit": (lambda f: flip(f / "weights.npz", 3_000_000), "weights.npz is cut off or"),
    "an array less": (lambda f: change_arrays(f, lambda a: a.pop(BIAS)), f"differ in {BIAS}"),
    "an array more": (
        lambda f: change_arrays(f, lambda a: a.update({"decoder/extra": np.zeros(3)})),
        "differ in decoder/extra",
    ),
    "an array of text": (
        lambda f: change_arrays(f, lambda a: a.update({BIAS: np.full(128, "three")})),
        f"values in {BIAS} that are no numbers",
    ),
    "an array that is not finite": (
        lambda f: change_arrays(f, lambda a: a.update({BIAS: np.full(128, np.nan)})),
        f"values in {BIAS} that are no numbers: the training went wrong",
    ),
    "a word more": (
        lambda f: replace_text(f / "vocabulary.txt", "dog\n", "dog\nzebra\n"),
        "made for 12 words, vocabulary.txt has 13: they do not",
    ),
}


def expect_refusal(folder: Path, problem: str) -> None:
    with pytest.raises(ReleaseError, match=problem) as refused:
        load(folder)
    assert str(refused.value).startswith(f"{folder} ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folder_is_refused(folder: Path, damage: str) -> None:
    cause, problem = DAMAGES[damage]
    cause(folder)

    expect_refusal(folder, problem)


@pytest.mark.parametrize("damage", DAMAGES_WITHOUT_SUMS)
def test_damaged_folder_without_sums_is_refused(folder: Path, damage: str) -> None:
    forget_sums(folder)
    cause, problem = DAMAGES_WITHOUT_SUMS[damage]
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

    expect_refusal(tmp_path, "weights.npz is cut off, damaged or another captioner's")


def test_folder_of_the_first_format_is_loaded(captioner: Captioner, folder: Path) -> None:
    forget_sums(folder)

    assert load(folder)[0].config == captioner.config


def test_line_ends_of_the_vocabulary_do_not_matter(folder: Path) -> None:
    path = folder / "vocabulary.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert load(folder)[0].vocabulary.words[-1] == "red"


def test_training_that_diverged_is_told(captioner: Captioner, tmp_path: Path) -> None:
    diverged = Captioner(captioner.config, captioner.vocabulary)
    diverged.decoder.word_bias.assign(np.full(12, np.inf))
    save(tmp_path, diverged, CARD)

    expect_refusal(tmp_path, "no numbers: the training went wrong; train again with a lower")


def test_values_beyond_half_precision_come_back(captioner: Captioner, tmp_path: Path) -> None:
    made = Captioner(captioner.config, captioner.vocabulary)
    made.decoder.word_bias.assign(np.full(12, 123456.0))
    save(tmp_path, made, CARD)

    np.testing.assert_array_equal(load(tmp_path)[0].decoder.word_bias, np.full(12, 123456.0))


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="nowhere holds no captioner"):
        load(tmp_path / "nowhere")
    with pytest.raises(ReleaseError, match="nowhere holds no captioner"):
        read_card(tmp_path / "nowhere")


def test_card_can_be_read_without_the_weights(folder: Path) -> None:
    (folder / "weights.npz").unlink()

    assert read_card(folder) == CARD


def test_saving_again_replaces(captioner: Captioner, folder: Path) -> None:
    save(folder, captioner, replace(CARD, name="newer"))

    assert load(folder)[1].name == "newer"
