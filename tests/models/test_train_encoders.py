"""Tests of training with another family of encoders, and of running the result in the engine."""

import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from inference.engine.engine import Engine
from models import train
from models.captioner.captioner import Captioner
from models.checkpoint import ModelCard, load
from models.datasets import Dataset, open_dataset
from models.encoders.pretrained import load_pretrained
from models.encoders.registry import make_encoder
from models.language import tokenize
from models.metrics import caption_images
from models.training.config import TrainingConfig
from tests.conftest import MakeOnce
from tests.models.conftest import MakeFlickr8k, named_image

CONFIG = """
width = 32
embedding = 16
heads = 2
minimum_count = 1
length = 6
batch = 4
captions = 2
average = 0.5
[beam]
width = 2
max_length = 6
"""
ENCODER = "efficientnetv2-b0"
"""Of the other family than Lite0, which the other tests train and the shipped captioner has."""

TEXTS = ("a red dog runs", "two boys swim", "the dog's ball", "a car on the grass")
KNOWN = ("dog", "boys", "'s", "car", "grass")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_flickr8k: MakeFlickr8k) -> Path:
    def examples(kind: str, count: int) -> dict[str, tuple[str, str]]:
        return {f"{kind}{i}.png": (TEXTS[i % 4], TEXTS[(i + 1) % 4]) for i in range(count)}

    folder = tmp_path_factory.mktemp("made") / "data"
    make_flickr8k(folder, {"train": examples("t", 8), "dev": examples("d", 2)})
    return folder


@pytest.fixture(scope="module")
def weights(make_once: MakeOnce) -> Path:
    """A file of weights of `ENCODER` with its classifier, written by Keras."""

    def fill(folder: Path) -> None:
        keras.applications.EfficientNetV2B0(weights=None).save(folder / "b0.h5")

    return make_once("weights", fill) / "b0.h5"


@pytest.fixture(scope="module")
def glove(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of 16 numbers for `KNOWN`, ten times as large as an embedding's."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("glove") / "made.16d.txt"
    lines = (" ".join([word, *map(str, random.normal(0.1, 0.5, 16))]) for word in KNOWN)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def fit(data: Path, folder: Path, **choices: object) -> Path:
    """Train by the command line; return the captioner's folder."""
    path = folder / "run.toml"
    choices = {"epochs": 8, "learning_rate": 0.05, **choices}
    chosen = "".join(f"{name} = {json.dumps(value)}\n" for name, value in choices.items())
    path.write_text(chosen + CONFIG, encoding="utf-8")
    run = folder / "run"
    arguments = ["--data", str(data), "--config", str(path), "--run", str(run)]
    assert train.main(arguments) == 0
    return run / "captioner"


def captions(captioner: Captioner, dataset: Dataset, config: Path) -> dict[str, str]:
    beam = TrainingConfig.read(config).beam
    return caption_images(captioner, dataset, dataset.examples("dev"), beam)


@dataclass(frozen=True)
class Trained:
    """A complete run from a weights file."""

    captioner: Path
    config: Path


@pytest.fixture(scope="module")
def trained(data: Path, weights: Path, make_once: MakeOnce) -> Trained:
    def fill(folder: Path) -> None:
        source = {"pretrained": str(weights), "classes": 1000}
        fit(data, folder, encoder=ENCODER, image_size=64, **source)

    folder = make_once("trained", fill)
    return Trained(folder / "run" / "captioner", folder / "run.toml")


@pytest.fixture(scope="module")
def loaded(trained: Trained) -> tuple[Captioner, ModelCard]:
    """The captioner of the run, and its card. Tests must not change them."""
    return load(trained.captioner)


def test_captioner_is_trained_saved_loaded_and_captions(
    trained: Trained, loaded: tuple[Captioner, ModelCard], data: Path
) -> None:
    captioner, card = loaded

    assert captioner.config.encoder == captioner.encoder.name == ENCODER
    assert captioner.config.image_size == 64
    assert card.figures.keys() >= {"cider", "bleu_4"}
    found = captions(captioner, open_dataset(data), trained.config)
    assert sorted(found) == ["d0.png", "d1.png"]
    assert {word for text in found.values() for word in tokenize(text)} & {"a", "dog", "the"}


def test_encoder_has_the_weights_of_the_file(
    weights: Path, loaded: tuple[Captioner, ModelCard]
) -> None:
    kept = loaded[0].encoder

    expected = make_encoder(ENCODER, 64)
    load_pretrained(expected, None, str(weights))
    for got, original in zip(kept.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(got, original.astype(np.float16))


def test_it_keeps_its_classifier_from_the_file(
    weights: Path, loaded: tuple[Captioner, ModelCard]
) -> None:
    kept = loaded[0].classifier

    assert kept
    whole = keras.applications.EfficientNetV2B0(weights=None)
    whole.load_weights(weights)
    expected = np.asarray(whole.get_layer("predictions").kernel)
    np.testing.assert_array_equal(np.asarray(kept.kernel), expected.astype(np.float16))


async def test_engine_runs_the_captioner(
    trained: Trained, loaded: tuple[Captioner, ModelCard], data: Path
) -> None:
    engine = Engine(trained.captioner, explains=False)
    engine.start()
    try:
        await engine.wait_loaded()
        assert engine.info
        assert (engine.info.encoder, engine.info.resizing.side) == (ENCODER, 64)
        caption = await engine.caption(named_image("d0.png"))
    finally:
        await engine.stop()

    # If its confidence is low, the engine returns the caption as its guess.
    found = captions(loaded[0], open_dataset(data), trained.config)["d0.png"]
    assert found
    assert (caption.guess or caption.text) == found


def test_another_lite_encoder_is_trained_from_random_weights_and_word_vectors(
    data: Path,
    glove: Path,
    thin_encoder: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = fit(
        data,
        tmp_path,
        encoder=thin_encoder,
        pretrained=False,
        glove=str(glove),
        epochs=1,
        # Too low to change the embedding much.
        learning_rate=1e-4,
    )

    captioner, _ = load(folder)
    assert captioner.encoder.name == thin_encoder
    # This encoder's own image size, because none is configured.
    assert captioner.config.image_size == 96
    assert captioner.encoder.output_shape == (None, 3, 3, 1280)
    assert len(captions(captioner, open_dataset(data), tmp_path / "run.toml")) == 2

    embedding = np.asarray(captioner.decoder.embedding.embeddings)
    rows = [captioner.vocabulary.words.index(word) for word in KNOWN]
    vectors = np.array(
        [line.split(" ")[1:] for line in glove.read_text(encoding="utf-8").splitlines()], np.float32
    )
    correlation = np.corrcoef(embedding[rows].ravel(), vectors.ravel())[0, 1]
    assert correlation > 0.99
    found = f"{len(KNOWN)} of {len(captioner.vocabulary)} words initialised from {glove}"
    assert found in capsys.readouterr().out


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ({"pretrained": "{tmp}/none.h5"}, "none.h5 does not exist"),
        ({"pretrained": "{tmp}/run.toml"}, "run.toml is truncated or not a weights file"),
        ({"pretrained": "{b0}"}, "b0.h5 does not hold weights of efficientnet-lite0"),
        ({"pretrained": False, "classes": 1000}, "random weights has no classifier"),
        ({"pretrained": False, "glove": "{tmp}/none.txt"}, "none.txt"),
        ({"pretrained": False, "glove": "{glove}", "embedding": 8}, "set embedding = 16"),
        ({"encoder": "efficientnetv2-xl"}, "unknown encoder 'efficientnetv2-xl'"),
        ({"image_size": 16, "pretrained": False}, "image_size is 16 but must be 32 or more"),
    ],
)
def test_error_is_reported_in_one_line(
    data: Path,
    weights: Path,
    glove: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    choices: dict[str, object],
    problem: str,
) -> None:
    if choices.get("pretrained") == "{tmp}/run.toml":
        pytest.importorskip("torch")
    places = {"tmp": tmp_path, "b0": weights, "glove": glove}
    formatted = {
        name: value.format(**places) if isinstance(value, str) else value
        for name, value in choices.items()
    }
    path = tmp_path / "run.toml"
    chosen = {"encoder": "efficientnet-lite0", **formatted}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items())
    kept = CONFIG if "embedding" not in choices else CONFIG.replace("embedding = 16", "")
    path.write_text(lines + kept, encoding="utf-8")

    arguments = ["--data", str(data), "--config", str(path), "--run", str(tmp_path / "run")]
    assert train.main(arguments) == 2

    printed = capsys.readouterr()
    assert printed.err.startswith("train: ")
    assert problem in printed.err
    assert printed.err.count("\n") == 1
