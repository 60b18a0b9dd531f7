"""Tests of python -m models.calibrate, for confidence and for tags."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.calibrate import main
from models.calibration.blank import blank_images
from models.calibration.tags import TagCalibration, Tagger
from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.checkpoint import CheckpointError, ModelCard, load, read_card, save, write_card
from models.datasets import open_dataset
from models.preprocessing import resize_to_square
from tests.models.conftest import MakeFlickr8k

TEXTS = ("a red dog runs", "a ball on grass", "the dog's ball", "a dog on red grass")
BEAM = BeamConfig(width=2, max_length=6, length_power=0.7)
CARD = ModelCard("small", "made up", "none", {"cider": 0.1}, BEAM)
TAGS = TagCalibration(0.75, -0.5, {"cup": 0.125}, 0.25)
COUNT = 40  # More than a batch.


@pytest.fixture(scope="module")
def captioner(lite0_captioner: Captioner) -> Captioner:
    """Its captions say something about blank images."""
    return lite0_captioner


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "data"
    captions = {f"{i}.png": (TEXTS[i % 4], TEXTS[(i + 1) % 4]) for i in range(COUNT)}
    make_flickr8k(folder, {"dev": captions})
    return folder


@pytest.fixture
def folder(tmp_path: Path, captioner: Captioner) -> Path:
    save(tmp_path / "captioner", captioner, CARD)
    return tmp_path / "captioner"


def test_confidence_is_written_into_the_card_and_nothing_else_changes(
    data: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, card = load(folder)
    out = tmp_path / "figures.json"

    arguments = ["--data", str(data), "--captioner", str(folder), "--out", str(out)]
    assert main(arguments) == 0

    after, calibrated = load(folder)
    assert calibrated.confidence is not None
    assert 0.5 <= calibrated.confidence.temperature <= 4
    assert (calibrated.name, calibrated.figures) == (card.name, card.figures)
    for a, b in zip(before.get_weights(), after.get_weights(), strict=True):
        assert (a == b).all()
    figures, blank = json.loads(out.read_text(encoding="utf-8")).values()
    # A decoder with random weights is overconfident, so a higher temperature calibrates it better.
    assert calibrated.confidence.temperature > 1.2
    assert figures["next_word_ece"] < figures["next_word_ece_before"] - 0.02
    assert figures["word_ece"] < figures["word_ece_before"]
    assert 0 <= figures["confidence_ece"] <= 1
    assert figures["low_confidence_as_written"] == 0.1
    assert 0 < blank["recognised"] < blank["images"]
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*figures, *blank, "temperature", "threshold"))
    card_lines = printed.split("For the model card:")[1].splitlines()
    assert "|  | data |" in card_lines
    error = f"{figures['word_ece']:.3f}"
    assert f"| calibration error of their confidence (15 bins) | {error} |" in card_lines
    low = "| captions below the threshold (with the fit as shipped) | "
    assert f"{low}{100 * figures['low_confidence']:.1f} % (10.0 %) |" in card_lines
    others = blank["images"] - blank["recognised"]
    assert any(
        f"recognises {blank['recognised']} of the {blank['images']}. The confidence of "
        f"{blank['low_confidence']} of the other {others} " in line
        for line in card_lines
    )


def test_each_of_several_datasets_has_its_figures(
    data: Path, folder: Path, tmp_path: Path, make_flickr8k: MakeFlickr8k
) -> None:
    words = [word for word in load(folder)[0].vocabulary.words if word.isalpha()]
    # Captions of all words: whatever is said of these images is mostly right.
    make_flickr8k(tmp_path / "easy", {"dev": {f"e{i}.png": (" ".join(words),) for i in range(10)}})
    out = tmp_path / "figures.json"

    arguments = ["--data", str(data), "--data", str(tmp_path / "easy"), "--captioner", str(folder)]
    assert main([*arguments, "--out", str(out)]) == 0

    figures = json.loads(out.read_text(encoding="utf-8"))
    assert list(figures) == [str(data), str(tmp_path / "easy"), "blank images"]
    made_up, easy, _ = figures.values()
    assert easy["mostly_right"] == 1 > made_up["mostly_right"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (["--data", "{tmp}/nowhere"], "nowhere: no such folder"),
        (["--captioner", "{tmp}/data"], "data contains no captioner, as it has no"),
        (["--captioner", "hf:owner"], "'hf:owner' names no repository; write hf:OWNER/NAME"),
        (["--split", "val"], "no split 'val'"),
    ],
)
def test_error_is_reported_in_one_line(
    data: Path,
    folder: Path,
    tmp_path: Path,
    changed: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = {"--data": str(data), "--captioner": str(folder)}
    arguments |= {changed[0]: changed[1].format(tmp=tmp_path)}

    assert main([text for option in arguments.items() for text in option]) == 2

    printed = capsys.readouterr().err
    assert printed.startswith("calibrate: ")
    assert problem in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--precision", "0.9"], "--precision needs --tags"),
        (["--tags", "--split", "dev"], "--split cannot be used with --tags"),
    ],
)
def test_options_of_the_other_mode_are_refused(
    data: Path, options: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(data), *options])

    assert problem in capsys.readouterr().err


@pytest.fixture(scope="module")
def tagged_checkpoint(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner with a random classifier."""
    made = Captioner(replace(captioner.config, classes=1000), captioner.vocabulary)
    random = np.random.default_rng(2)
    classifier = [random.normal(0, 0.05, (1280, 1000)), random.normal(0, 1, 1000)]
    made.set_weights([*captioner.get_weights(), *classifier])
    folder = tmp_path_factory.mktemp("checkpoint")
    save(folder, made, CARD)
    return folder


@pytest.fixture
def tagged_folder(tagged_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tagged_checkpoint, tmp_path / "captioner"))


@pytest.fixture(scope="module")
def tagged_data(
    tagged_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
    make_flickr8k: MakeFlickr8k,
) -> Path:
    """Images whose captions mention the objects that the captioner sees, half of them wrongly.

    Tests must not change them.
    """
    folder = tmp_path_factory.mktemp("tagged")
    names = [f"{index}.png" for index in range(COUNT)]
    make_flickr8k(folder / "uncaptioned", {"dev": {name: ["?"] for name in names}})
    uncaptioned = open_dataset(folder / "uncaptioned")
    captioner, _ = load(tagged_checkpoint)
    pixels = np.stack([resize_to_square(uncaptioned.image(name), 64) for name in names])
    tagger = Tagger(captioner.classifier, TagCalibration(1.0, 0.0, {}, 1e-6))
    seen = tagger.tags(captioner.encoder.predict_on_batch(pixels.astype(np.float32)))
    captions = {
        name: [f"a {tags[0][0]}", "a thing" if index % 2 else f"the {tags[1][0]}"]
        for index, (name, tags) in enumerate(zip(names, seen, strict=True))
    }
    make_flickr8k(folder / "data", {"dev": captions, "train": {"t.png": ["a dog"]}})
    return folder / "data"


def test_tag_calibration_and_its_figures_are_written(
    tagged_folder: Path, tagged_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"

    status = main(
        ["--tags", "--captioner", str(tagged_folder), "--data", str(tagged_data), "--out", str(out)]
    )

    assert status == 0
    card = read_card(tagged_folder)
    assert card.tags is not None and replace(card, tags=None) == CARD
    report = json.loads(out.read_text())
    assert report["calibration"]["threshold"] == card.tags.threshold
    figures = report[str(tagged_data)]
    assert figures["images"] == COUNT
    assert figures["precision"] >= 0.7 and figures["coverage"] > 0
    assert figures["ece"] < figures["ece_before"]
    printed = capsys.readouterr().out
    assert str(figures["precision"]) in printed
    without = (
        f"{100 * figures['precision_without_commonest']:.0f} % (without “{figures['commonest']}”)"
    )
    assert f"| data | {COUNT} | {100 * figures['precision']:.0f} % | {without} | " in printed


def test_calibrated_captioner_shows_no_tags_for_blank_images(
    tagged_folder: Path, tagged_data: Path
) -> None:
    assert (
        main(
            [
                "--tags",
                "--captioner",
                str(tagged_folder),
                "--data",
                str(tagged_data),
                "--precision",
                "0.01",
            ]
        )
        == 0
    )

    captioner, card = load(tagged_folder)
    assert captioner.classifier is not None and card.tags is not None
    blank = captioner.encoder.predict_on_batch(blank_images(64).astype(np.float32))
    assert not any(Tagger(captioner.classifier, card.tags).tags(blank))


@pytest.mark.parametrize("precision", ["1.5", "-1", "nan"])
def test_invalid_precision_is_refused(
    tagged_folder: Path, tagged_data: Path, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(
            [
                "--tags",
                "--captioner",
                str(tagged_folder),
                "--data",
                str(tagged_data),
                "--precision",
                precision,
            ]
        )

    assert "--precision" in capsys.readouterr().err
    assert read_card(tagged_folder).tags is None


def test_captioner_without_classifier_cannot_calibrate_tags(
    captioner: Captioner, tagged_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "plain", captioner, CARD)

    status = main(["--tags", "--captioner", str(tmp_path / "plain"), "--data", str(tagged_data)])

    assert status == 2
    assert "classes = 1000" in capsys.readouterr().err
    assert read_card(tmp_path / "plain").tags is None


def test_tag_calibration_is_loaded_with_the_captioner(tagged_folder: Path) -> None:
    assert load(tagged_folder)[1].tags is None

    write_card(tagged_folder, replace(CARD, tags=TAGS))

    assert load(tagged_folder)[1].tags == TAGS


def change_card(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values["card"])
    (folder / "config.json").write_text(json.dumps(values))


def test_card_without_tags_is_read(tagged_folder: Path) -> None:
    change_card(tagged_folder, lambda card: card.pop("tags"))

    assert read_card(tagged_folder) == CARD


@pytest.mark.parametrize(
    "change", [{"penalties": {"unicorn": 1.0}}, {"threshold": 7.0}, {"slope": None}]
)
def test_invalid_tag_calibration_is_reported_in_one_line(
    tagged_folder: Path, change: dict[str, object]
) -> None:
    write_card(tagged_folder, replace(CARD, tags=TAGS))
    change_card(tagged_folder, lambda card: card["tags"].update(change))

    with pytest.raises(CheckpointError, match=r"config\.json: card\.tags") as caught:
        read_card(tagged_folder)
    assert "\n" not in str(caught.value)


def test_a_package_that_not_everybody_has_is_named_with_its_installation(
    data: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "models.calibration.fit_confidence", raising=False)
    monkeypatch.delitem(sys.modules, "models.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "pycocoevalcap.cider.cider", None)

    assert main(["--data", str(data), "--captioner", str(folder)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("calibrate: pycocoevalcap.cider.cider is not installed; install it with")
    assert line.endswith("-m pip install --editable '.[evaluate]'")
