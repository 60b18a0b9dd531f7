"""Scores of maps from Python, beside those of the command."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inference import Captioner, faithfulness
from inference.faithfulness import score_maps
from inference.faithfulness.__main__ import _read_photographs, main
from inference.faithfulness.given_maps import GivenMaps, MapFunction
from tests.inference.conftest import SIDE, photographs
from tests.models.conftest import MakeFlickr8k


@pytest.fixture(scope="module")
def small(saved: Path) -> Captioner:
    return Captioner.load(saved)


def top(image: NDArray[np.uint8]) -> Any:
    return np.arange(len(image))[::-1, None] + np.zeros(image.shape[1])


def test_scores_are_those_of_the_command(
    small: Captioner,
    saved: Path,
    make_flickr8k: MakeFlickr8k,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, out = tmp_path / "flickr8k", tmp_path / "out"
    texts = ["a dog runs", "a red dog on grass"]
    make_flickr8k(data, {"dev": {f"dev{index}.png": texts for index in range(3)}})
    (tmp_path / "given_here.py").write_text(
        "import numpy as np\n\ndef top(image):\n"
        "    return np.arange(len(image))[::-1, None] + np.zeros(image.shape[1])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    arguments = ["--data", data, "--captioner", saved, "--part", "all", "--out", out]
    arguments += ["--methods", "gradcam", "--maps", "given_here:top"]
    assert main(list(map(str, arguments))) == 0
    report = json.loads((out / "report.json").read_text())
    done: list[int] = []

    images = _read_photographs(data, "dev", "all", 100)
    scores = score_maps(small, images, top, methods=["gradcam"], progress=done.append)

    assert json.loads(json.dumps(scores.to_json()))["pictures"] == report["pictures"]
    assert scores.curves() == report["curves"]["object"]
    assert done == [1, 2, 3]
    expected = report["summary"]["object"]["deletion"]["top"]["against"]["centre"]
    found = scores.summary("object")["deletion"]["top"].against["centre"]
    assert (found.mean, found.low, found.high) == tuple(expected.values())
    assert "| `top` |" in str(scores)
    assert scores._repr_markdown_() == str(scores)


def test_a_function_gets_the_arguments_that_it_requires(small: Captioner) -> None:
    calls: list[tuple[Any, ...]] = []

    def one(image: Any, sigma: float = 1.0) -> Any:
        calls.append((image.shape,))
        return [[sigma]]

    def two(image: Any, word: str) -> Any:
        calls.append((image.shape, word))
        return [[1.0]]

    def three(image: Any, caption: str, word: str, *, sigma: float = 1.0) -> Any:
        calls.append((image.shape, word, caption))
        return [[sigma]]

    class Callable:
        def __call__(self, image: Any) -> Any:
            return one(image)

    maps: dict[str, MapFunction] = {
        "one": one,
        "two": two,
        "three": three,
        "instance": Callable(),
        "partial": partial(three, sigma=2.0),
    }
    scores = score_maps(small, photographs(SIDE)[:1], maps, methods=[])

    (image,) = scores.images
    words = [word.text for word in image.words]
    shape = (SIDE, SIDE, 3)
    assert [call[1] for call in calls if len(call) == 2] == words
    assert [call[1:] for call in calls if len(call) == 3][::2] == [
        (word, image.caption.capitalize()) for word in words
    ]
    assert len(calls) == 5 * len(words)
    assert {call[0] for call in calls} == {shape}
    assert set(image.words[0].deletion) == {*maps, "random", "centre"}


def test_what_cannot_be_measured_is_named(small: Captioner) -> None:
    images = photographs(SIDE)[:1]

    for function in (lambda: None, lambda a, b, c, d: None, lambda image, *, size: None):
        with pytest.raises(ValueError, match="f must take an image; an image and a word; or"):
            GivenMaps(function, "f")
    with pytest.raises(ValueError, match="there are no images"):
        score_maps(small, [], top)
    with pytest.raises(ValueError, match="'centre' is the name of a method or baseline"):
        score_maps(small, images, {"centre": top})
    with pytest.raises(ValueError, match=r"no method 'lime' that explains words; the methods are"):
        score_maps(small, images, top, methods=["lime"])
    with pytest.raises(ValueError, match="wrong returned no map of the word"):
        score_maps(small, images, {"wrong": lambda image: image})


def test_the_example_of_the_readme_runs(
    small: Captioner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = Path(faithfulness.__file__).with_name("README.md").read_text()
    _, example = re.findall(r"```python\n(.*?)```", readme, re.S)
    (tmp_path / "photographs").mkdir()
    for index, image in enumerate(photographs(SIDE)[:2]):
        Image.fromarray(image).save(tmp_path / "photographs" / f"{index}.webp")
    monkeypatch.chdir(tmp_path)
    # A small captioner in place of the shipped one, which takes seconds for each word.
    monkeypatch.setattr(Captioner, "load", lambda _: small)

    exec(example, {})

    printed = capsys.readouterr().out
    assert "| `colourful` |" in printed
    mean, low, high = map(float, printed.splitlines()[-1].split())
    assert low <= mean <= high
