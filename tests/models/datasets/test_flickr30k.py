"""Tests of reading Flickr30k."""

from pathlib import Path

import numpy as np
import pytest

from models.datasets import Dataset, DatasetError, Example, open_dataset
from tests.models.datasets.conftest import Encode

RED = (220, 30, 40)
HEADER = "image_name| comment_number| comment\n"


def write_dataset(folder: Path, images: Path, encoded: bytes, names: list[str]) -> None:
    lines = [f"{name}| {n}| Caption {n} .\n" for name in names for n in range(2)]
    (folder / "results.csv").write_text(HEADER + "".join(lines))
    images.mkdir(exist_ok=True)
    for name in names:
        (images / name).write_bytes(encoded)


def all_examples(dataset: Dataset) -> dict[str, Example]:
    return {e.name: e for split in dataset.splits for e in dataset.examples(split)}


@pytest.mark.parametrize("images", ["flickr30k_images", "flickr30k-images", "."])
def test_captions_and_images_are_read(tmp_path: Path, encode: Encode, images: str) -> None:
    write_dataset(tmp_path, tmp_path / images, encode(".jpg", RED), ["1.jpg"])

    dataset = open_dataset(tmp_path)
    image = dataset.image("1.jpg")

    assert all_examples(dataset)["1.jpg"].captions == ("Caption 0 .", "Caption 1 .")
    assert image.shape == (24, 32, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, np.broadcast_to(RED, image.shape), atol=6)


def test_caption_keeps_quotes_commas_and_later_separators(tmp_path: Path, encode: Encode) -> None:
    write_dataset(tmp_path, tmp_path, encode(".jpg", RED), ["1.jpg"])
    (tmp_path / "results.csv").write_text(HEADER + '1.jpg|0|"A, b" | c\n')

    assert all_examples(open_dataset(tmp_path))["1.jpg"].captions == ('"A, b" | c',)


def test_splits_have_about_their_documented_shares(tmp_path: Path, encode: Encode) -> None:
    write_dataset(tmp_path, tmp_path, encode(".jpg", RED), [f"{n}.jpg" for n in range(1000)])
    dataset = open_dataset(tmp_path)

    assert set(dataset.splits) == {"train", "dev", "test"}
    assert 900 <= len(dataset.examples("train")) <= 970
    assert 15 <= len(dataset.examples("dev")) <= 50
    assert 15 <= len(dataset.examples("test")) <= 50


def test_split_depends_on_the_name_alone(tmp_path: Path, encode: Encode) -> None:
    names = [f"{n}.jpg" for n in range(160)]
    write_dataset(tmp_path, tmp_path, encode(".jpg", RED), names)
    splits = {name: e.split for name, e in all_examples(open_dataset(tmp_path)).items()}

    # Written down, so that a change of the hash, which would mix train with test, is seen.
    assert {name: s for name, s in splits.items() if s != "train"} == {
        "34.jpg": "dev",
        "35.jpg": "dev",
        "71.jpg": "dev",
        "106.jpg": "test",
        "126.jpg": "dev",
        "144.jpg": "dev",
    }

    write_dataset(tmp_path, tmp_path, encode(".jpg", RED), names[:50:-1])
    for name, example in all_examples(open_dataset(tmp_path)).items():
        assert example.split == splits[name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "results.csv: line 1 must be the header 'image_name"),
        ("1.jpg| 0| A\n", "results.csv: line 1 must be the header 'image_name"),
        (HEADER, "results.csv: no captions found"),
        (HEADER + "1.jpg| 0| A\n1.jpg| 4   A dog .\n", "line 3 must be .* '1.jpg. 4   A dog"),
        (HEADER + "1.jpg| 4\n", "results.csv: line 2 must be"),
        (HEADER + "1.jpg| A| B\n", "results.csv: line 2 must be"),
        (HEADER + "1.jpg| 0| \n", "results.csv: line 2 must be"),
        (HEADER + "1.jpg| 0| A\n2.jpg| 0| B\n", "image 2.jpg is not in .*flickr30k_images"),
    ],
)
def test_malformed_file_is_refused(
    tmp_path: Path, encode: Encode, content: str, message: str
) -> None:
    write_dataset(tmp_path, tmp_path / "flickr30k_images", encode(".jpg", RED), ["1.jpg"])
    (tmp_path / "results.csv").write_text(content)

    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path)
