import json
from dataclasses import replace
from pathlib import Path

import pytest

from inference.captioning.int8 import (
    Int8Card,
    Int8Loss,
    QuantizedError,
    read_int8,
    sha256,
    write_int8,
)

MODEL = b"an encoder"
CARD = Int8Card(
    weights_sha256=sha256(b"weights"),
    encoder_sha256=sha256(MODEL),
    calibration_images=200,
    split="dev",
    losses=(Int8Loss("outdoors", 1000, 0.5371, 0.532), Int8Loss("rooms", 300, 0.7, 0.701)),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights.npz").write_bytes(b"weights")
    write_int8(tmp_path, MODEL, CARD)
    return tmp_path


def test_a_written_encoder_is_read_back(folder: Path) -> None:
    assert read_int8(folder) == (MODEL, CARD)
    losses = json.loads((folder / "encoder-int8.json").read_text())["losses"]
    assert [each["cider_loss"] for each in losses] == [0.0051, -0.001]


@pytest.mark.parametrize("missing", ["encoder-int8.tflite", "encoder-int8.json"])
def test_a_missing_file_is_reported_with_the_command_that_makes_it(
    folder: Path, missing: str
) -> None:
    (folder / missing).unlink()

    with pytest.raises(QuantizedError, match=r"no int8 encoder\. .*inference\.quantize --data"):
        read_int8(folder)


@pytest.mark.parametrize("changed", ["weights.npz", "encoder-int8.tflite"])
def test_files_that_do_not_belong_together_are_refused(folder: Path, changed: str) -> None:
    (folder / changed).write_bytes(b"others")

    with pytest.raises(QuantizedError, match="does not belong to its weights"):
        read_int8(folder)


@pytest.mark.parametrize("card", ["", "[]", "{}", '{"cider_loss": 0}'])
def test_a_damaged_card_is_reported(folder: Path, card: str) -> None:
    (folder / "encoder-int8.json").write_text(card)

    with pytest.raises(QuantizedError, match="cannot be read"):
        read_int8(folder)


def test_missing_weights_are_reported(folder: Path) -> None:
    (folder / "weights.npz").unlink()

    with pytest.raises(QuantizedError, match=r"the weights in .* cannot be read"):
        read_int8(folder)


def test_an_encoder_of_other_weights_is_refused(folder: Path) -> None:
    write_int8(folder, MODEL, replace(CARD, weights_sha256=sha256(b"other weights")))

    with pytest.raises(QuantizedError, match="does not belong"):
        read_int8(folder)
