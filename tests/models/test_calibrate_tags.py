"""Tests of the calibration of tags."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.calibrate_tags import main
from models.calibration.fit_tags import blank_pictures
from models.calibration.tags import TagCalibration, Tagger
from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import Card, ReleaseError, load, read_card, save, write_card
from models.datasets import open_dataset
from models.preprocessing import squeeze
from tests.models.conftest import MakeFlickr8k

BEAM = BeamConfig(width=2, max_length=6, length_power=0.7)
CARD = Card("small", "nothing", "none", {}, BEAM)
TAGS = TagCalibration(0.75, -0.5, {"cup": 0.125}, 0.25)
COUNT = 40  # More than a batch.


@pytest.fixture(scope="module")
def saved(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner whose classifier is random."""
    made = Captioner(replace(captioner.config, classes=1000), captioner.vocabulary)
    random = np.random.default_rng(2)
    classifier = [random.normal(0, 0.05, (1280, 1000)), random.normal(0, 1, 1000)]
    made.set_weights([*captioner.get_weights(), *classifier])
    folder = tmp_path_factory.mktemp("release")
    save(folder, made, CARD)
    return folder


@pytest.fixture
def release(saved: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(saved, tmp_path / "captioner"))


@pytest.fixture
def data(tmp_path: Path, release: Path, make_flickr8k: MakeFlickr8k) -> Path:
    """Pictures that people describe by what the captioner sees, half of them wrongly."""
    names = [f"{index}.png" for index in range(COUNT)]
    make_flickr8k(tmp_path / "unseen", {"dev": {name: ["?"] for name in names}})
    unseen = open_dataset(tmp_path / "unseen")
    captioner, _ = load(release)
    pixels = np.stack([squeeze(unseen.image(name), 64) for name in names])
    sure = Tagger(captioner.classifier, TagCalibration(1.0, 0.0, {}, 1e-6))
    seen = sure.tags(captioner.encoder.predict_on_batch(pixels.astype(np.float32)))
    captions = {
        name: [f"a {tags[0][0]}", "a thing" if index % 2 else f"the {tags[1][0]}"]
        for index, (name, tags) in enumerate(zip(names, seen, strict=True))
    }
    make_flickr8k(tmp_path / "data", {"dev": captions, "train": {"t.png": ["a dog"]}})
    return tmp_path / "data"


def test_command_writes_the_calibration_and_its_figures(
    release: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data / "report.json"

    status = main(["--captioner", str(release), "--data", str(data), "--out", str(out)])

    assert status == 0
    card = read_card(release)
    assert card.tags is not None and replace(card, tags=None) == CARD
    report = json.loads(out.read_text())
    assert report["calibration"]["threshold"] == card.tags.threshold
    figures = report[str(data)]
    assert figures["pictures"] == COUNT
    assert figures["precision"] >= 0.7 and figures["coverage"] > 0
    assert figures["ece"] < figures["ece_before"]
    assert str(figures["precision"]) in capsys.readouterr().out


def test_calibrated_captioner_tells_nothing_of_blank_pictures(release: Path, data: Path) -> None:
    assert main(["--captioner", str(release), "--data", str(data), "--precision", "0.01"]) == 0

    captioner, card = load(release)
    assert captioner.classifier is not None and card.tags is not None
    blank = captioner.encoder.predict_on_batch(blank_pictures(64).astype(np.float32))
    assert not any(Tagger(captioner.classifier, card.tags).tags(blank))


@pytest.mark.parametrize("precision", ["1.5", "-1", "nan"])
def test_precision_that_cannot_be_is_refused(
    release: Path, data: Path, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--captioner", str(release), "--data", str(data), "--precision", precision])

    assert "--precision" in capsys.readouterr().err
    assert read_card(release).tags is None


def test_captioner_without_classifier_has_no_tags_to_calibrate(
    captioner: Captioner, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "plain", captioner, CARD)

    status = main(["--captioner", str(tmp_path / "plain"), "--data", str(data)])

    assert status == 2
    assert "classes = 1000" in capsys.readouterr().err
    assert read_card(tmp_path / "plain").tags is None


def test_calibration_comes_back_with_the_captioner(release: Path) -> None:
    assert load(release)[1].tags is None

    write_card(release, replace(CARD, tags=TAGS))

    assert load(release)[1].tags == TAGS


def change_card(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values["card"])
    (folder / "config.json").write_text(json.dumps(values))


def test_captioner_from_before_there_were_tags_is_read(release: Path) -> None:
    change_card(release, lambda card: card.pop("tags"))

    assert read_card(release) == CARD


@pytest.mark.parametrize(
    "change", [{"doubts": {"unicorn": 1.0}}, {"threshold": 7.0}, {"slope": None}]
)
def test_calibration_that_cannot_be_is_told_in_a_line(
    release: Path, change: dict[str, object]
) -> None:
    write_card(release, replace(CARD, tags=TAGS))
    change_card(release, lambda card: card["tags"].update(change))

    with pytest.raises(ReleaseError, match=r"config\.json: card\.tags") as caught:
        read_card(release)
    assert "\n" not in str(caught.value)
