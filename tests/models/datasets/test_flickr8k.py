"""Tests of reading Flickr8k."""

from pathlib import Path

import numpy as np
import pytest

from models.datasets import DatasetError, Example, open_dataset
from tests.models.datasets.conftest import Encode

RED = (220, 30, 40)
CAPTIONS = "a.jpg#0\tA red #1\tfield .\na.jpg#1\tRed\nb.jpg#0\tB\nc.jpg#0\tC\nd.jpg#0\tD\n"


@pytest.fixture
def folder(tmp_path: Path, encode: Encode) -> Path:
    (tmp_path / "Flickr8k.token.txt").write_text(CAPTIONS)
    (tmp_path / "Flickr_8k.trainImages.txt").write_text("a.jpg\n")
    (tmp_path / "Flickr_8k.devImages.txt").write_text("b.jpg\n")
    (tmp_path / "Flickr_8k.testImages.txt").write_text("c.jpg\n")
    images = tmp_path / "Flicker8k_Dataset"
    images.mkdir()
    for name in "abcd":
        (images / f"{name}.jpg").write_bytes(encode(".jpg", RED))
    return tmp_path


def test_lists_define_the_splits_and_the_rest_is_extra(folder: Path) -> None:
    dataset = open_dataset(folder)

    assert set(dataset.splits) == {"train", "dev", "test", "extra"}
    assert dataset.examples("train") == [Example("a.jpg", "train", ("A red #1\tfield .", "Red"))]
    assert dataset.examples("dev") == [Example("b.jpg", "dev", ("B",))]
    assert dataset.examples("test") == [Example("c.jpg", "test", ("C",))]
    assert dataset.examples("extra") == [Example("d.jpg", "extra", ("D",))]


@pytest.mark.parametrize("images", ["Flicker8k_Dataset", "Images"])
def test_image_is_rgb_from_either_folder(folder: Path, images: str) -> None:
    (folder / "Flicker8k_Dataset").rename(folder / images)

    image = open_dataset(folder).image("a.jpg")

    assert image.shape == (24, 32, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, np.broadcast_to(RED, image.shape), atol=6)


def test_captions_of_the_unpublished_image_are_ignored(folder: Path) -> None:
    (folder / "Flickr8k.token.txt").write_text(CAPTIONS + "2258277193_586949ec62.jpg.1#0\tA man\n")

    assert [e.name for e in open_dataset(folder).examples("extra")] == ["d.jpg"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("Flickr8k.token.txt", "", "Flickr8k.token.txt: no captions found"),
        ("Flickr8k.token.txt", "a.jpg#0\tA\na.jpg B\n", "Flickr8k.token.txt: line 2 must be"),
        ("Flickr8k.token.txt", "a.jpg#0\t\n", "Flickr8k.token.txt: line 1 must be"),
        ("Flickr8k.token.txt", CAPTIONS + "e.jpg#0\tE\n", "image e.jpg is not in .*8k_Dataset"),
        ("Flickr_8k.devImages.txt", "e.jpg\n", "devImages.txt: image e.jpg has no caption in"),
        ("Flickr_8k.devImages.txt", "b.jpg\n\n", "devImages.txt: line 2 is empty"),
        (
            "Flickr_8k.testImages.txt",
            "c.jpg\na.jpg\n",
            "testImages.txt: line 2 lists a.jpg, which Flickr_8k.trainImages.txt lists too",
        ),
    ],
)
def test_malformed_file_is_refused(folder: Path, file: str, content: str, message: str) -> None:
    (folder / file).write_text(content)

    with pytest.raises(DatasetError, match=message):
        open_dataset(folder)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_missing_list_is_refused(folder: Path, split: str) -> None:
    (folder / f"Flickr_8k.{split}Images.txt").unlink()

    with pytest.raises(DatasetError, match=rf"Flickr_8k.{split}Images.txt: cannot be read"):
        open_dataset(folder)


def test_missing_image_folder_is_refused(folder: Path) -> None:
    (folder / "Flicker8k_Dataset").rename(folder / "elsewhere")

    with pytest.raises(DatasetError, match="looked for Flicker8k_Dataset/, Images/"):
        open_dataset(folder)


def test_unreadable_image_is_named(folder: Path) -> None:
    (folder / "Flicker8k_Dataset" / "a.jpg").write_bytes(b"no image")

    with pytest.raises(DatasetError, match=r"a.jpg: not a readable image"):
        open_dataset(folder).image("a.jpg")


def test_deleted_image_is_named(folder: Path) -> None:
    dataset = open_dataset(folder)
    (folder / "Flicker8k_Dataset" / "a.jpg").unlink()

    with pytest.raises(DatasetError, match=r"Flicker8k_Dataset/a.jpg: cannot be read"):
        dataset.image("a.jpg")


def test_only_images_of_the_dataset_can_be_read(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"no image '\.\./Flickr8k.token.txt'"):
        open_dataset(folder).image("../Flickr8k.token.txt")
