"""Tests of opening folders that are not datasets."""

from pathlib import Path

import pytest

from models.datasets import DatasetError, open_dataset


def test_error_for_an_unknown_layout_lists_the_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)

    for text in (
        str(tmp_path),
        "captions.tsv",
        "Flickr8k.token.txt",
        "results.csv",
        "annotations/captions_*.json",
    ):
        assert text in str(caught.value)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="absent: no such folder"):
        open_dataset(tmp_path / "absent")
