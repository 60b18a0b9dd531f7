"""Tests that a captioner of any encoder is trained, saved, loaded and run by the engine."""

import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from inference.engine.engine import Engine
from models import train
from models.captioner.captioner import Captioner
from models.checkpoint import load
from models.datasets import Dataset, open_dataset
from models.encoders.pretrained import assign, load_pretrained
from models.encoders.registry import make_encoder
from models.evaluation.captions import caption_images
from models.language.vocabulary import tokenize
from models.training.config import TrainingConfig
from tests.models.conftest import MakeFlickr8k, picture
from tests.models.oracle.encoder import made_state

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
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of weights for some encoders, as Keras writes it; V2's with its classifier."""
    folder = tmp_path_factory.mktemp("weights")
    lite = make_encoder("efficientnet-lite0", 64)
    assign(lite, made_state("efficientnet-lite0"))
    lite.save_weights(folder / "lite0.weights.h5")
    v2 = keras.applications.EfficientNetV2B0(weights=None)
    v2.save(folder / "b0.h5")
    return {
        "efficientnet-lite0": folder / "lite0.weights.h5",
        "efficientnetv2-b0": folder / "b0.h5",
    }


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
    choices = {"epochs": 6, "learning_rate": 0.03, **choices}
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
    """A run from a file of weights that came to its end."""

    encoder: str
    weights: str
    captioner: Path
    config: Path


@pytest.fixture(scope="module", params=["efficientnet-lite0", "efficientnetv2-b0"])
def trained(
    request: pytest.FixtureRequest,
    data: Path,
    weights: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Trained:
    encoder = request.param
    source, folder = str(weights[encoder]), tmp_path_factory.mktemp("trained")
    classes = {"classes": 1000} if encoder.startswith("efficientnetv2") else {}
    captioner = fit(data, folder, encoder=encoder, image_size=64, pretrained=source, **classes)
    return Trained(encoder, source, captioner, folder / "run.toml")


def test_captioner_is_trained_saved_loaded_and_captions(trained: Trained, data: Path) -> None:
    captioner, card = load(trained.captioner)

    assert captioner.config.encoder == captioner.encoder.name == trained.encoder
    assert captioner.config.image_size == 64
    assert card.figures.keys() >= {"cider", "bleu_4"}
    said = captions(captioner, open_dataset(data), trained.config)
    assert sorted(said) == ["d0.png", "d1.png"]
    assert {word for text in said.values() for word in tokenize(text)} & {"a", "dog", "the"}


def test_the_encoder_is_as_it_was_in_the_file(trained: Trained) -> None:
    kept = load(trained.captioner)[0].encoder

    begun = make_encoder(trained.encoder, 64)
    load_pretrained(begun, None, trained.weights)
    for got, wanted in zip(kept.get_weights(), begun.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted.astype(np.float16))


def test_v2_keeps_its_classifier_from_the_file(trained: Trained) -> None:
    kept = load(trained.captioner)[0].classifier

    assert (kept is not None) == (trained.encoder == "efficientnetv2-b0")
    if kept:
        whole = keras.applications.EfficientNetV2B0(weights=None)
        whole.load_weights(trained.weights)
        wanted = np.asarray(whole.get_layer("predictions").kernel)
        np.testing.assert_array_equal(np.asarray(kept.kernel), wanted.astype(np.float16))


async def test_server_runs_it_by_its_folder(trained: Trained, data: Path) -> None:
    engine = Engine(trained.captioner, explains=False)
    engine.start()
    try:
        await engine.wait_loaded()
        assert engine.info
        assert (engine.info.encoder, engine.info.image_size) == (trained.encoder, 64)
        caption = await engine.caption(picture("d0.png"))
    finally:
        await engine.stop()

    # The engine may say less than the whole caption, when it is not sure of it.
    said = captions(load(trained.captioner)[0], open_dataset(data), trained.config)["d0.png"]
    assert said
    assert (caption.guess or caption.text) == said


def test_words_begin_as_alike_as_glove_has_them(
    data: Path, glove: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fit(
        data,
        tmp_path,
        encoder="efficientnet-lite0",
        image_size=64,
        pretrained=False,
        glove=str(glove),
        epochs=1,
        # Not enough to make another language of it.
        learning_rate=1e-4,
    )

    captioner, _ = load(folder)
    embedding = np.asarray(captioner.decoder.embedding.embeddings)
    rows = [captioner.vocabulary.words.index(word) for word in KNOWN]
    vectors = np.array(
        [line.split(" ")[1:] for line in glove.read_text(encoding="utf-8").splitlines()], np.float32
    )
    alike = np.corrcoef(embedding[rows].ravel(), vectors.ravel())[0, 1]
    assert alike > 0.99
    found = f"{len(KNOWN)} of {len(captioner.vocabulary)} words begin with the vectors of {glove}"
    assert found in capsys.readouterr().out


def test_another_lite_encoder_is_trained_from_random_weights(data: Path, tmp_path: Path) -> None:
    encoder = "efficientnet-lite1"
    folder = fit(data, tmp_path, encoder=encoder, image_size=64, pretrained=False, epochs=1)

    captioner, _ = load(folder)
    assert captioner.encoder.name == encoder
    assert len(captions(captioner, open_dataset(data), tmp_path / "run.toml")) == 2


def test_encoders_own_image_size_is_the_default(
    data: Path, tmp_path: Path, weights: dict[str, Path]
) -> None:
    encoder = "efficientnet-lite0"

    captioner, _ = load(
        fit(data, tmp_path, encoder=encoder, pretrained=str(weights[encoder]), epochs=1)
    )

    assert captioner.config.image_size == 224
    assert captioner.encoder.output_shape == (None, 7, 7, 1280)


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ({"pretrained": "{tmp}/none.h5"}, "none.h5: there is no such file of weights"),
        ({"pretrained": "{tmp}/run.toml"}, "run.toml is cut off or no file of weights"),
        ({"pretrained": "{b0}"}, "b0.h5 holds no weights of efficientnet-lite0"),
        ({"pretrained": False, "classes": 1000}, "random weights has no classifier"),
        ({"pretrained": False, "glove": "{tmp}/none.txt"}, "none.txt"),
        ({"pretrained": False, "glove": "{glove}", "embedding": 8}, "set embedding = 16"),
        ({"encoder": "efficientnetv2-xl"}, "no encoder is called 'efficientnetv2-xl'"),
        ({"image_size": 16, "pretrained": False}, "image_size is 16 but must be 32 or more"),
    ],
)
def test_mistake_is_told_in_a_line(
    data: Path,
    weights: dict[str, Path],
    glove: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    choices: dict[str, object],
    problem: str,
) -> None:
    if choices.get("pretrained") == "{tmp}/run.toml":
        pytest.importorskip("torch")
    places = {"tmp": tmp_path, "b0": weights["efficientnetv2-b0"], "glove": glove}
    wanted = {
        name: value.format(**places) if isinstance(value, str) else value
        for name, value in choices.items()
    }
    path = tmp_path / "run.toml"
    chosen = {"encoder": "efficientnet-lite0", **wanted}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items())
    kept = CONFIG if "embedding" not in choices else CONFIG.replace("embedding = 16", "")
    path.write_text(lines + kept, encoding="utf-8")

    arguments = ["--data", str(data), "--config", str(path), "--run", str(tmp_path / "run")]
    assert train.main(arguments) == 2

    printed = capsys.readouterr()
    assert printed.err.startswith("train: ")
    assert problem in printed.err
    assert printed.err.count("\n") == 1
