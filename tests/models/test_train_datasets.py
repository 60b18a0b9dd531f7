"""Tests of training on datasets of each layout."""

import io
import json
import re
import tarfile
from collections.abc import Iterable
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import train
from models.checkpoint import load
from models.datasets.flickr import hash_split
from models.language import SPECIAL_WORDS
from tests.models.conftest import named_image

CONFIG = """
dev_split = "dev"
encoder = "efficientnet-lite0"
image_size = 64
pretrained = false
width = 32
embedding = 16
heads = 2
minimum_count = 1
length = 6
batch = 4
captions = 2
epochs = 1
[beam]
width = 2
max_length = 6
"""
CAPTIONS = ("A dog runs.", "Two boys | swim, fast", "The dog's ball")
WORDS = {"a", "dog", "runs", "two", "boys", "swim", "fast", "the", "'s", "ball"}

Names = dict[str, list[str]]


def encoded(name: str) -> bytes:
    done, png = cv2.imencode(".png", named_image(name)[..., ::-1])
    assert done
    return png.tobytes()


def write_images(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(encoded(name))


def write_pack(folder: Path, names: Names) -> None:
    folder.mkdir()
    rows = ["image\tsplit\tcaption"]
    with tarfile.open(folder / "images-0.tar", "w") as shard:
        for split, name in each(names):
            rows += [f"{name}\t{split}\t{text}" for text in CAPTIONS]
            member = tarfile.TarInfo(name)
            member.size = len(encoded(name))
            shard.addfile(member, io.BytesIO(encoded(name)))
    (folder / "captions.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_flickr30k(folder: Path, names: Names) -> None:
    write_images(folder / "flickr30k_images", (name for _, name in each(names)))
    rows = [f"{name}| {i}| {text}" for _, name in each(names) for i, text in enumerate(CAPTIONS)]
    text = "\n".join(["image_name| comment_number| comment", *rows]) + "\n"
    (folder / "results.csv").write_text(text, encoding="utf-8")


def write_coco(folder: Path, names: Names) -> None:
    (folder / "annotations").mkdir(parents=True)
    for split, year in (("train", "train2017"), ("dev", "val2017")):
        write_images(folder / year, names[split])
        content = {
            "images": [{"id": i, "file_name": name} for i, name in enumerate(names[split])],
            "annotations": [
                {"image_id": i, "caption": text}
                for i in range(len(names[split]))
                for text in CAPTIONS
            ],
        }
        path = folder / "annotations" / f"captions_{year}.json"
        path.write_text(json.dumps(content), encoding="utf-8")


def each(names: Names) -> Iterable[tuple[str, str]]:
    return ((split, name) for split, group in names.items() for name in group)


def made_names() -> Names:
    """Make names that Flickr30k's hash assigns to these splits."""
    return {
        split: list(islice((n for i in count() if hash_split(n := f"{i}.png") == split), size))
        for split, size in (("train", 6), ("dev", 2))
    }


def test_captioner_is_trained_on_each_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All other tests of training use Flickr8k's."""
    config, run = tmp_path / "small.toml", tmp_path / "run"
    config.write_text(CONFIG, encoding="utf-8")
    arguments = ["--config", str(config), "--run", str(run)]
    for write in (write_pack, write_flickr30k, write_coco):
        write(tmp_path / write.__name__, made_names())
        arguments += ["--data", str(tmp_path / write.__name__)]

    assert train.main(arguments) == 0

    captioner, card = load(run / "captioner")
    assert set(captioner.vocabulary.words) == {*SPECIAL_WORDS, *WORDS}
    assert card.data == "18 captioned images"
    # COCO's second split is val, so two datasets have dev, and the card has the means of both.
    lines = re.findall(r"dev of dataset (\d) .* words ([\d.]+)", capsys.readouterr().out)
    assert {int(dataset) for dataset, _ in lines} == {1, 2}
    epochs = np.array([float(words) for _, words in lines]).reshape(-1, 2).mean(axis=1)
    assert np.abs(epochs - card.figures["words"]).min() < 1e-3
