"""Tests of reading packed datasets."""

import io
import multiprocessing
import tarfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.datasets import DatasetError, Example, open_dataset
from tests.models.datasets.conftest import Encode

HEADER = "image\tsplit\tcaption\n"
RED, BLUE = (220, 30, 40), (20, 60, 200)


def write_shard(path: Path, images: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, encoded in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(encoded)
            archive.addfile(member, io.BytesIO(encoded))


@pytest.fixture
def folder(tmp_path: Path, encode: Encode) -> Path:
    (tmp_path / "captions.tsv").write_text(
        HEADER
        + 'red.webp\ttrain\tA "red" field .\n'
        + 'blue.jpg\tdev\t"Blue\n'
        + "red.webp\ttrain\t Red\u2028all \n",
        encoding="utf-8",
    )
    write_shard(tmp_path / "images-0.tar", {"red.webp": encode(".webp", RED)})
    write_shard(tmp_path / "images-1.tar", {"./blue.jpg": encode(".jpg", BLUE)})
    return tmp_path


def test_captions_are_grouped_by_image_and_not_changed(folder: Path) -> None:
    dataset = open_dataset(folder)

    assert dataset.splits == ("train", "dev")
    assert dataset.examples("train") == [
        Example("red.webp", "train", ('A "red" field .', " Red\u2028all "))
    ]
    assert dataset.examples("dev") == [Example("blue.jpg", "dev", ('"Blue',))]


def test_windows_line_endings_are_removed(folder: Path) -> None:
    table = folder / "captions.tsv"
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))

    assert open_dataset(folder).examples("dev") == [Example("blue.jpg", "dev", ('"Blue',))]


def test_error_for_an_unknown_split_lists_the_splits(folder: Path) -> None:
    with pytest.raises(ValueError, match="no split 'test'; choose one of train, dev"):
        open_dataset(folder).examples("test")


def test_changing_a_list_of_examples_does_not_change_the_dataset(folder: Path) -> None:
    dataset = open_dataset(folder)
    dataset.examples("train").clear()

    assert len(dataset.examples("train")) == 1


@pytest.mark.parametrize(("name", "rgb"), [("red.webp", RED), ("blue.jpg", BLUE)])
def test_image_is_rgb(folder: Path, name: str, rgb: tuple[int, int, int]) -> None:
    image = open_dataset(folder).image(name)

    assert image.shape == (24, 32, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, np.broadcast_to(rgb, image.shape), atol=6)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_dataset_can_be_used_from_threads_and_processes(folder: Path, kind: str) -> None:
    dataset = open_dataset(folder)
    pool: Executor = (
        ThreadPoolExecutor(4)
        if kind == "threads"
        else ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    )
    with pool:
        images = list(pool.map(dataset.image, ["red.webp", "blue.jpg"] * 20))

    for name, image in zip(["red.webp", "blue.jpg"] * 20, images, strict=True):
        np.testing.assert_array_equal(image, dataset.image(name))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "captions.tsv: line 1 must be the header"),
        ("image\tcaption\n", "captions.tsv: line 1 must be the header"),
        (HEADER, "captions.tsv: no captions below the header"),
        (HEADER + "red.webp\ttrain\tA\nred.webp\ttrain\n", "captions.tsv: line 3 must have"),
        (HEADER + "red.webp\ttrain\tA\tB\n", "captions.tsv: line 2 must have"),
        (HEADER + "red.webp\ttrain\t\n", "captions.tsv: line 2 must have"),
        (HEADER + "red.webp\ttrain\tA\n\nred.webp\ttrain\tB\n", "captions.tsv: line 3 must have"),
        (
            HEADER + "red.webp\ttrain\tA\nred.webp\tdev\tB\n",
            "captions.tsv: line 3 puts red.webp in split dev, an earlier line in train",
        ),
        (HEADER + "gone.webp\ttrain\tA\n", "captions.tsv: image gone.webp is in none of"),
    ],
)
def test_malformed_captions_are_refused(folder: Path, table: str, message: str) -> None:
    (folder / "captions.tsv").write_text(table, encoding="utf-8")

    with pytest.raises(DatasetError, match=message):
        open_dataset(folder)


def test_captions_that_are_not_utf_8_are_refused(folder: Path) -> None:
    (folder / "captions.tsv").write_bytes(HEADER.encode() + b"red.webp\ttrain\tcaf\xe9\n")

    with pytest.raises(DatasetError, match=r"captions.tsv: not UTF-8 text at byte 38"):
        open_dataset(folder)


def test_captions_without_shards_are_refused(folder: Path) -> None:
    for shard in folder.glob("*.tar"):
        shard.unlink()

    with pytest.raises(DatasetError, match=r"no shard images-\*.tar"):
        open_dataset(folder)


def test_truncated_shard_is_refused(folder: Path) -> None:
    shard = folder / "images-1.tar"
    shard.write_bytes(shard.read_bytes()[:600])

    with pytest.raises(DatasetError, match=r"images-1.tar: not a complete uncompressed tar"):
        open_dataset(folder)


def test_compressed_shard_is_refused(folder: Path) -> None:
    with tarfile.open(folder / "images-1.tar", "w:gz") as archive:
        archive.add(folder / "captions.tsv", "blue.jpg")

    with pytest.raises(DatasetError, match=r"images-1.tar: not a complete uncompressed tar"):
        open_dataset(folder)


def test_image_in_two_shards_is_refused(folder: Path, encode: Encode) -> None:
    write_shard(folder / "images-2.tar", {"red.webp": encode(".webp", BLUE)})

    with pytest.raises(DatasetError, match=r"images-2.tar: image red.webp is also in .*-0.tar"):
        open_dataset(folder)


@pytest.mark.parametrize("encoded", [b"", b"no image"])
def test_unreadable_image_is_named(folder: Path, encoded: bytes) -> None:
    write_shard(folder / "images-0.tar", {"red.webp": encoded})

    with pytest.raises(DatasetError, match=r"images-0.tar: red.webp: not a readable image"):
        open_dataset(folder).image("red.webp")


def test_deleted_shard_is_named(folder: Path) -> None:
    dataset = open_dataset(folder)
    (folder / "images-0.tar").unlink()

    with pytest.raises(DatasetError, match=r"images-0.tar: cannot be read"):
        dataset.image("red.webp")


def test_unknown_image_is_named(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"no image 'green.webp'"):
        open_dataset(folder).image("green.webp")
