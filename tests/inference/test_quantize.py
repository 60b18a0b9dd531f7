import json
from pathlib import Path

import numpy as np
import pytest

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.int8 import QuantizedError, read_int8
from inference.quantize import main
from models.checkpoint import load, save
from tests.inference.conftest import SIDE, photographs
from tests.models.conftest import MakeFlickr8k

TEXTS = ["a dog runs", "a red dog on grass"]


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "flickr8k"
    splits = {split: [f"{split}{index}.png" for index in range(6)] for split in ("train", "dev")}
    make_flickr8k(folder, {split: dict.fromkeys(names, TEXTS) for split, names in splits.items()})
    return folder


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_writes_an_int8_encoder_and_its_loss_to_the_captioners_folder(
    data: Path, folder: Path, empty_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(data), "--captioner", str(folder), "--calibration", "4"]) == 0

    card = json.loads((folder / "encoder-int8.json").read_text())
    assert (card["calibration_images"], card["split"]) == (4, "dev")
    (loss,) = card["losses"]
    assert (loss["data"], loss["images"]) == ("flickr8k", 6)
    assert loss["cider_loss"] == pytest.approx(loss["cider_float32"] - loss["cider_int8"], abs=1e-4)
    assert f"loss {loss['cider_loss']:.4f}" in capsys.readouterr().out
    _, int8_card = read_int8(folder)
    assert int8_card.losses[0].cider_loss == pytest.approx(loss["cider_loss"], abs=1e-4)

    exact, int8 = LstmCaptionModel(folder), LstmCaptionModel(folder, "int8")
    images = list(photographs(SIDE))
    grids, int8_grids = exact.encode(images), int8.encode(images)
    assert not np.array_equal(grids, int8_grids)
    assert np.corrcoef(grids.ravel(), int8_grids.ravel())[0, 1] > 0.8
    size = (folder / "encoder-int8.tflite").stat().st_size
    kept = next(path for path in empty_cache.rglob("*") if path.is_file())
    assert size < 0.4 * kept.stat().st_size

    # With new weights the old int8 encoder is rejected.
    captioner, card = load(folder)
    captioner.decoder.word_bias.assign_add(np.ones(captioner.decoder.word_bias.shape))
    save(folder, captioner, card)
    with pytest.raises(QuantizedError, match="does not belong to its weights"):
        LstmCaptionModel(folder, "int8")


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_ranges_come_from_all_datasets_and_losses_from_those_with_the_split(
    data: Path, folder: Path, tmp_path: Path, make_flickr8k: MakeFlickr8k
) -> None:
    rooms, more = tmp_path / "rooms", tmp_path / "more"
    make_flickr8k(rooms, {"train": {"a.png": TEXTS}, "dev": {"b.png": TEXTS, "c.png": TEXTS}})
    make_flickr8k(more, {"train": {"d.png": TEXTS}})
    folders = [argument for each in (data, rooms, more) for argument in ("--data", str(each))]

    assert main([*folders, "--captioner", str(folder), "--calibration", "8"]) == 0

    _, card = read_int8(folder)
    assert card.calibration_images == 8
    assert [(each.data, each.images) for each in card.losses] == [("flickr8k", 6), ("rooms", 2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none"], "none: no such folder"),
        (["--captioner", "none"], "none is not a captioner checkpoint"),
        (["--calibration", "0"], "--calibration must be between 1 and 6"),
        (["--calibration", "7"], "the number of training images, not 7"),
        (["--split", "none"], "no dataset has a split 'none' to measure on; choose another"),
    ],
)
def test_an_invalid_argument_is_reported_and_nothing_is_written(
    data: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    before = sorted(folder.iterdir())
    usual = ["--data", str(data), "--captioner", str(folder), "--calibration", "4"]

    assert main([*usual, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before
