"""Tests of python -m models.training.average."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.captioner import BeamConfig, Captioner
from models.checkpoint import ModelCard, load, read_card, save
from models.language import Vocabulary
from models.training.average import main
from tests.models.conftest import WORDS, MakeFlickr8k, randomize

BEAM = BeamConfig(width=2, max_length=6, alternatives=0)


@pytest.fixture(scope="module")
def folders(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of two captioners with the same encoder and different decoders."""
    folder = tmp_path_factory.mktemp("captioners")
    other = Captioner(captioner.config, Vocabulary(WORDS))
    other.encoder.set_weights(captioner.encoder.get_weights())
    randomize(other.decoder, seed=6)
    card = ModelCard("first", "nothing", "none", {"cider": 9.0}, BEAM)
    save(folder / "a", captioner, card)
    save(folder / "b", other, replace(card, name="second", verified=("gradcam",)))
    return [folder / "a", folder / "b"]


def test_weights_are_averaged_by_shares_and_measured_on_each_dataset(
    folders: list[Path],
    tmp_path: Path,
    make_flickr8k: MakeFlickr8k,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("outdoors", "rooms"):
        make_flickr8k(tmp_path / name, {"dev": {f"{name}.png": ["a red dog", "the ball"]}})
    datasets = ["--data", str(tmp_path / "outdoors"), "--data", str(tmp_path / "rooms")]
    captioners = [argument for each in folders for argument in ("--captioner", str(each))]
    out = tmp_path / "out"

    status = main([*captioners, "--share", "1", "--share", "3", *datasets, "--out", str(out)])

    assert status == 0
    first, second, mean = (load(folder)[0] for folder in (*folders, out))
    for a, b, c in zip(first.parts, second.parts, mean.parts, strict=True):
        for x, y, z in zip(a.get_weights(), b.get_weights(), c.get_weights(), strict=True):
            np.testing.assert_allclose(z, 0.25 * x + 0.75 * y, rtol=1e-3, atol=1e-5)
    card = read_card(out)
    assert (card.name, card.beam, card.verified) == ("second", BEAM, ())
    printed = capsys.readouterr().out
    assert "dev of outdoors, 1 images: CIDEr " in printed
    assert "dev of rooms, 1 images: CIDEr " in printed
    assert 0 <= card.figures["cider"] < 9
    assert {"bleu_4", "words", "distinct"} < set(card.figures)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--captioner", "A"], "give --captioner at least twice"),
        (["--captioner", "A", "--captioner", "B", "--share", "1"], "2 captioners, but 1 shares"),
        (["--captioner", "A", "--captioner", "B", "--share", "1", "--share", "0"], "positive"),
        (["--captioner", "A", "--captioner", "none"], "none is not a captioner checkpoint"),
        (["--captioner", "A", "--captioner", "B", "--data", "none"], "none: no such folder"),
    ],
)
def test_invalid_arguments_are_reported_and_nothing_is_written(
    folders: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    names = {"A": str(folders[0]), "B": str(folders[1])}
    out = tmp_path / "out"

    assert main([*(names.get(each, each) for each in arguments), "--out", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_other_vocabularies_are_refused(
    captioner: Captioner,
    folders: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = Captioner(captioner.config, Vocabulary((*WORDS[:-1], "blue")))
    card = ModelCard("other", "nothing", "none", {}, BEAM)
    save(tmp_path / "other", other, card)

    arguments = ["--captioner", str(folders[0]), "--captioner", str(tmp_path / "other")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert "differ in their architecture or their vocabulary" in capsys.readouterr().err
