"""Tests of the configuration file of a run."""

from pathlib import Path

import pytest

from models.captioner.beam_search import BeamConfig
from models.training.config import TrainingConfig


def read(folder: Path, text: str) -> TrainingConfig:
    path = folder / "small-run.toml"
    path.write_text(text, encoding="utf-8")
    return TrainingConfig.read(path)


def test_empty_file_gives_defaults_and_the_files_name(tmp_path: Path) -> None:
    assert read(tmp_path, "") == TrainingConfig(name="small-run")


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        'name = "mine"\ntrain_splits = ["train", "extra"]\nepochs = 3\nlearning_rate = 1\n'
        "views = 3\npretrained = false\n[beam]\nwidth = 5\n",
    )

    assert config == TrainingConfig(
        name="mine",
        train_splits=("train", "extra"),
        epochs=3,
        learning_rate=1.0,
        views=3,
        pretrained=False,
        beam=BeamConfig(width=5),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("epochs", "Expected '='"),
        ("epoch = 3", "epoch: Unexpected"),
        ('epochs = "3"', "epochs: .*integer"),
        ("epochs = 2.5", "epochs: .*integer"),
        ("epochs = true", "epochs: .*integer"),
        ("epochs = 0", "epochs: .*greater than 0"),
        ("views = 0", "views: .*greater than 0"),
        ("name = 3", "name: .*string"),
        ('train_splits = "train"', "train_splits: .*array"),
        ("train_splits = []", "train_splits: .*at least 1"),
        ("train_splits = [1]", "train_splits.*string"),
        ("beam = 3", "beam: .*object"),
        ("[beam]\nwidht = 3", "beam.widht: Unexpected"),
        ("[beam]\nwidth = 0", "beam: .*beam search: width"),
    ],
)
def test_error_names_its_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"small-run\.toml: .*{problem}"):
        read(tmp_path, text)


def test_shipped_configurations_can_be_read() -> None:
    paths = list((Path(__file__).parents[3] / "models" / "configs").glob("*.toml"))

    assert paths
    for path in paths:
        assert TrainingConfig.read(path).name == path.stem
