"""Tests of reading the COCO captions dataset."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.datasets import DatasetError, Example, open_dataset
from tests.models.datasets.conftest import Encode

RED, BLUE = (220, 30, 40), (20, 60, 200)


def write_captions(folder: Path, name: str, content: Any) -> None:
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / name).write_text(json.dumps(content))


def captions_json(images: dict[int, str], captions: list[tuple[int, str]]) -> dict[str, Any]:
    return {
        "info": {},
        "images": [{"id": i, "file_name": name, "height": 24} for i, name in images.items()],
        "annotations": [
            {"id": n, "image_id": i, "caption": caption} for n, (i, caption) in enumerate(captions)
        ],
    }


@pytest.fixture
def folder(tmp_path: Path, encode: Encode) -> Path:
    for images, name, rgb in [("train2017", "7.jpg", RED), ("val2017", "9.jpg", BLUE)]:
        (tmp_path / images).mkdir()
        (tmp_path / images / name).write_bytes(encode(".jpg", rgb))
    write_captions(
        tmp_path,
        "captions_train2017.json",
        captions_json({7: "7.jpg", 8: "8.jpg"}, [(7, "A red field.\n"), (7, 'All "red"')]),
    )
    write_captions(tmp_path, "captions_val2017.json", captions_json({9: "9.jpg"}, [(9, "Sky")]))
    return tmp_path


def test_each_captions_file_is_a_split(folder: Path) -> None:
    dataset = open_dataset(folder)

    assert dataset.splits == ("train", "val")
    assert dataset.examples("train") == [Example("7.jpg", "train", ("A red field.\n", 'All "red"'))]
    assert dataset.examples("val") == [Example("9.jpg", "val", ("Sky",))]


@pytest.mark.parametrize(("name", "rgb"), [("7.jpg", RED), ("9.jpg", BLUE)])
def test_image_is_rgb_from_the_folder_of_its_split(
    folder: Path, name: str, rgb: tuple[int, int, int]
) -> None:
    image = open_dataset(folder).image(name)

    assert image.shape == (24, 32, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, np.broadcast_to(rgb, image.shape), atol=6)


def test_other_annotations_are_ignored(folder: Path) -> None:
    write_captions(folder, "instances_train2017.json", {})

    assert open_dataset(folder).splits == ("train", "val")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "captions_val2017.json: must be an object with a list 'images'"),
        ({"images": []}, "captions_val2017.json: must be an object with a list 'annotations'"),
        (
            {"images": [{"id": 1}], "annotations": []},
            r"images\[0\] must be an object with 'id' \(int\) and 'file_name' \(str\)",
        ),
        (
            {"images": [], "annotations": ["A"]},
            r"annotations\[0\] must be an object with 'image_id' \(int\) and 'caption' \(str\)",
        ),
        (captions_json({1: "1.jpg"}, [(2, "A")]), "an annotation has image_id 2, which is not in"),
        (captions_json({1: "1.jpg"}, [(1, "A")]), "image 1.jpg is not in .*val2017"),
        (
            captions_json({1: "9.jpg", 2: "9.jpg"}, [(1, "A"), (2, "B")]),
            "image 9.jpg is listed twice",
        ),
    ],
)
def test_malformed_captions_are_refused(folder: Path, content: Any, message: str) -> None:
    write_captions(folder, "captions_val2017.json", content)

    with pytest.raises(DatasetError, match=message):
        open_dataset(folder)


def test_captions_that_are_not_json_are_refused(folder: Path) -> None:
    (folder / "annotations" / "captions_val2017.json").write_text('{"images": [\n')

    with pytest.raises(DatasetError, match=r"captions_val2017.json: not JSON .*line 2"):
        open_dataset(folder)


def test_two_years_of_one_split_are_refused(folder: Path) -> None:
    write_captions(folder, "captions_val2014.json", captions_json({9: "9.jpg"}, [(9, "Sky")]))

    with pytest.raises(
        DatasetError, match=r"captions_val2017.json: there is another file for the split val"
    ):
        open_dataset(folder)


def test_captions_of_no_split_are_refused(folder: Path) -> None:
    write_captions(folder, "captions_2017.json", captions_json({9: "9.jpg"}, [(9, "Sky")]))

    with pytest.raises(DatasetError, match=r"captions_2017.json: the file name must be captions_"):
        open_dataset(folder)


def test_captions_without_annotations_are_refused(folder: Path) -> None:
    for split in ("train", "val"):
        write_captions(folder, f"captions_{split}2017.json", captions_json({7: "7.jpg"}, []))

    with pytest.raises(DatasetError, match="no captions found"):
        open_dataset(folder)


def test_missing_image_folder_is_refused(folder: Path) -> None:
    (folder / "val2017").rename(folder / "elsewhere")

    with pytest.raises(DatasetError, match=r"val2017: no folder of images"):
        open_dataset(folder)
