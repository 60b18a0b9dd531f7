import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.concepts.__main__ import main


@pytest.fixture
def image_folder(tmp_path: Path, images: list[NDArray[np.uint8]]) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, each in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), each[..., ::-1])
    return folder


def test_discover_writes_json_and_a_sheet_for_each_concept(
    tagged: Path,
    image_folder: Path,
    tmp_path: Path,
    frequent_word: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"

    options = ["--captioner", str(tagged), "--limit", "2"]
    status = main(
        ["discover", str(image_folder), "--word", frequent_word, "--out", str(out), *options]
    )

    assert status == 0
    found = json.loads((out / "concepts.json").read_text())
    assert (found["word"], found["pictures"]) == (frequent_word, 2)
    sheets = {each["picture"] for each in found["concepts"]}
    assert {file.name for file in out.iterdir()} == {"concepts.json", *sheets}
    for each in found["concepts"]:
        assert each["verdict"] == "not enough evidence"
        assert np.asarray(cv2.imread(str(out / each["picture"]))).shape[1] == 1280
    output = capsys.readouterr().out
    assert f"“{frequent_word}” is in" in output
    assert "40 are needed" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--word", "zzz"], "'zzz' is not in the captioner's vocabulary"),
        (["--word", "a", "--every", "0"], "--every is 0"),
        (["--word", "a", "--limit", "0"], "--limit is 0"),
        (["--word", "a", "--captioner", "none"], "'none' is no captioner and no folder"),
        (["--word", "a", "--captioner", "hf:no/such"], "captioner fetch hf:no/such"),
    ],
)
def test_failed_command_writes_nothing(
    tagged: Path,
    image_folder: Path,
    tmp_path: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    captioner = [] if "--captioner" in options else ["--captioner", str(tagged)]

    status = main(
        ["discover", str(image_folder), "--out", str(tmp_path / "out"), *captioner, *options]
    )

    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
