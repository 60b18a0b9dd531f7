"""Tests of opening a folder that is no data set; the layouts' tests open those that are."""

from pathlib import Path

import pytest

from models.datasets import DatasetError, open_dataset


def test_folder_without_a_known_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)

    for sought in (
        str(tmp_path),
        "captions.tsv",
        "Flickr8k.token.txt",
        "results.csv",
        "annotations/captions_*.json",
    ):
        assert sought in str(caught.value)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="absent: no such folder"):
        open_dataset(tmp_path / "absent")
