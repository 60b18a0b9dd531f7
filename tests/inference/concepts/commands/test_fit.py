import shutil
from pathlib import Path

import numpy as np
import pytest

from inference.concepts.__main__ import main
from inference.concepts.bank import FILE, read_bank
from inference.concepts.survey import CaptionSurvey
from tests.models.conftest import MakeFlickr8k

IMAGES = 60


@pytest.fixture(scope="module")
def small(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small captioner's folder, to write a bank into."""
    return Path(shutil.copytree(saved, tmp_path_factory.mktemp("fit") / "small"))


def most_frequent_word(cache: Path, folder: Path) -> str:
    """Return the word in most of the cached captions."""
    lines = next(cache.glob("captions-*.jsonl")).read_text(encoding="utf-8").splitlines()
    tokens = [[int(each) for each in line.split("[")[-1].rstrip("]").split(",")] for line in lines]
    names = (folder / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
    survey = CaptionSurvey(tuple(lines), tuple(map(tuple, tokens)), tuple(names))
    return max(survey.word_counts().items(), key=lambda item: item[1])[0]


def test_bank_is_fitted_and_resumed(
    small: Path, tmp_path: Path, make_flickr8k: MakeFlickr8k, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number}.png" for number in range(IMAGES)]
    make_flickr8k(tmp_path / "data", {"train": {name: ["a dog"] for name in names}})
    cache = tmp_path / "cache"
    command = ["fit", "--data", str(tmp_path / "data"), "--captioner", str(small)]
    command += ["--cache", str(cache), "--pictures", "40", "--cut", "2"]

    assert main([*command, "--word", "zebra"]) == 2
    assert "'zebra' is in 0 of 60 captions, but at least 40 are needed" in capsys.readouterr().err
    word = most_frequent_word(cache, small)
    assert main([*command, "--word", word]) == 0
    bank = read_bank(small)
    assert main([*command, "--word", word, "--resume"]) == 0

    assert list(bank.metadata.fitted) == [word]
    assert bank.metadata.fitted[word].images == 2
    assert bank.metadata.images == IMAGES
    assert bank.metadata.fitted[word].scenes == 40
    assert all(each.evidence.matters for each in bank.concepts)
    resumed = read_bank(small)
    assert resumed.metadata == bank.metadata
    assert [each.id for each in resumed.concepts] == [each.id for each in bank.concepts]
    output = capsys.readouterr().out
    assert f"of {bank.metadata.fitted[word].tests} that were tested" in output
    with np.load(small / FILE, allow_pickle=False) as arrays:
        pixels = {name for name in arrays.files if arrays[name].dtype == np.uint8}
    assert pixels == {"pictures"}
    assert not list(small.glob("*.partial"))


def test_missing_dataset_is_reported(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--data", str(tmp_path / "none"), "--captioner", str(small)]) == 2
    assert "no such folder" in capsys.readouterr().err
