"""Tests of combined datasets."""

from pathlib import Path

import numpy as np
import pytest

from models.datasets import DatasetError, open_combined
from tests.models.datasets.conftest import Encode
from tests.models.datasets.test_pack import BLUE, HEADER, RED, write_shard


def write_dataset(folder: Path, encode: Encode, colour: tuple[int, int, int], *lines: str) -> Path:
    folder.mkdir()
    (folder / "captions.tsv").write_text(HEADER + "".join(lines), encoding="utf-8")
    write_shard(folder / "images-0.tar", {"a.png": encode(".png", colour)})
    return folder


@pytest.fixture
def folders(tmp_path: Path, encode: Encode) -> list[Path]:
    first = write_dataset(tmp_path / "first", encode, RED, "a.png\ttrain\tA red field\n")
    second = write_dataset(tmp_path / "second", encode, BLUE, "a.png\ttrain\tA blue field\n")
    (second / "text-only.txt").write_text("a desk\na lamp\n", encoding="utf-8")
    return [first, second]


def test_splits_are_joined_and_images_with_the_same_name_are_distinct(folders: list[Path]) -> None:
    dataset = open_combined(folders)

    examples = dataset.examples("train")
    assert [example.captions for example in examples] == [("A red field",), ("A blue field",)]
    for example, colour in zip(examples, (RED, BLUE), strict=True):
        np.testing.assert_array_equal(dataset.image(example.name)[0, 0], colour)
    assert [dataset.part(example.name) for example in examples] == [0, 1]
    assert dataset.texts == ("a desk", "a lamp")


def test_single_dataset_is_not_changed(folders: list[Path]) -> None:
    dataset = open_combined(folders[:1])

    assert [example.name for example in dataset.examples("train")] == ["a.png"]
    assert dataset.part("a.png") == 0
    assert dataset.texts == ()


@pytest.mark.parametrize("name", ["a.png", "2/a.png", "x/a.png", "0/b.png"])
def test_unknown_name_is_refused(folders: list[Path], name: str) -> None:
    with pytest.raises(DatasetError):
        open_combined(folders).image(name)
