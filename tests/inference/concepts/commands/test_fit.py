import shutil
from pathlib import Path

import numpy as np
import pytest

from inference.concepts.__main__ import main
from inference.concepts.bank import FILE, decoded_picture, read_bank
from inference.concepts.fit import Survey, choose_words
from inference.concepts.visualisation import SIDE
from models.language.vocabulary import SPECIAL_WORDS
from models.preprocessing import squeeze
from tests.models.conftest import MakeFlickr8k, picture

PICTURES = 60


@pytest.fixture(scope="module")
def small(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small captioner, into which a bank may be written."""
    return Path(shutil.copytree(saved, tmp_path_factory.mktemp("fit") / "small"))


def said_most(cache: Path, folder: Path) -> str:
    """The word that the captioner says most often, as the cached captions have it."""
    lines = next(cache.glob("captions-*.jsonl")).read_text(encoding="utf-8").splitlines()
    tokens = [[int(each) for each in line.split("[")[-1].rstrip("]").split(",")] for line in lines]
    names = (folder / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
    survey = Survey(tuple(lines), tuple(map(tuple, tokens)), tuple(names))
    return max(survey.counts().items(), key=lambda item: item[1])[0]


def test_a_bank_is_fitted_and_gone_on_with_and_holds_no_picture_of_the_data(
    small: Path, tmp_path: Path, make_flickr8k: MakeFlickr8k, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number}.png" for number in range(PICTURES)]
    make_flickr8k(tmp_path / "data", {"train": {name: ["a dog"] for name in names}})
    cache = tmp_path / "cache"
    asked = ["fit", "--data", str(tmp_path / "data"), "--captioner", str(small)]
    asked += ["--cache", str(cache), "--pictures", "40", "--cut", "2"]

    assert main([*asked, "--word", "zebra"]) == 2
    assert "says 'zebra' of 0 of 60 pictures; 40 are needed" in capsys.readouterr().err
    word = said_most(cache, small)
    assert main([*asked, "--word", word]) == 0
    bank = read_bank(small)
    assert main([*asked, "--word", word, "--resume"]) == 0

    assert list(bank.about.fitted) == [word]
    assert bank.about.fitted[word].pictures == 2
    assert bank.about.captioned == PICTURES
    assert bank.concepts
    assert {each.scenes for each in bank.concepts} == {40}
    again = read_bank(small)
    assert [each.id for each in again.concepts] == [each.id for each in bank.concepts]
    with np.load(small / FILE, allow_pickle=False) as arrays:
        pixels = {name for name in arrays.files if arrays[name].dtype == np.uint8}
    assert pixels == {"pictures"}
    for concept in bank.concepts:
        drawn = decoded_picture(concept.picture)
        assert drawn.shape == (SIDE, SIDE, 3)
        # Those of the data set are two flat halves.
        for name in names:
            alike = np.corrcoef(squeeze(picture(name), SIDE).ravel(), drawn.ravel())[0, 1]
            assert alike < 0.8
    assert not list(small.glob("*.partial"))


def test_a_data_set_that_is_not_there_is_told(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--data", str(tmp_path / "none"), "--captioner", str(small)]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_words_for_things_are_fitted_first_if_they_are_said_often_enough() -> None:
    names = (*SPECIAL_WORDS, "a", "dog", "runs", "ball", "grass")
    tokens = [(4, 5, 6, 2)] * 50 + [(4, 7, 2)] * 40 + [(4, 8, 8, 2)] * 39
    counts = Survey(("",) * len(tokens), tuple(tokens), names).counts()

    assert counts == {"dog": 50, "runs": 50, "ball": 40, "grass": 39}
    assert choose_words(counts, 5) == ["dog", "ball", "runs"]
    assert choose_words(counts, 1) == ["dog"]
