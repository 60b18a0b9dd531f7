import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.model import CaptionModel
from inference.captioning.objective import LogitTerms
from inference.explanations import Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.learn.__main__ import main
from inference.explanations.map_head import FILE, MapHead, initial_parameters
from inference.explanations.methods import METHODS, available_methods
from inference.faithfulness.randomisation import shuffle_weights
from inference.progress import finish
from models.captioner import BeamCaption
from models.language import PAD
from tests.inference.conftest import TAGGED_SIDE, photographs
from tests.models.conftest import MakeFlickr8k
from tests.support.captioners.subwords import COLUMNS, PIECES, ROWS, SubwordCaptionModel
from tests.support.captioners.subwords import SIDE as SUBWORD_SIDE

TEXTS = ["a dog runs", "a red dog on grass"]


@pytest.fixture
def copied(tagged: Path, tmp_path: Path) -> Path:
    """A copy of the captioner's folder that a test may change."""
    return Path(shutil.copytree(tagged, tmp_path / "tagged"))


@pytest.fixture
def arguments(tmp_path: Path, make_flickr8k: MakeFlickr8k, copied: Path) -> list[str]:
    data = tmp_path / "flickr8k"
    make_flickr8k(data, {"train": {f"{index}.png": TEXTS for index in range(12)}})
    where = ["--data", str(data), "--captioner", str(copied), "--cache", str(tmp_path / "cache")]
    return [*where, "--masks", "4", "--epochs", "2"]


def subject_of(model: LstmCaptionModel) -> CaptionedImage:
    image = photographs(TAGGED_SIDE)[0]
    tokens = model.search(model.encode([image])).tokens[0]
    return CaptionedImage(model, image, tuple(tokens[tokens != PAD].tolist()))


def base_maps(model: CaptionModel, subject: CaptionedImage, method: str) -> NDArray[np.float32]:
    """Compute the maps of all tokens by the captioner itself: [1, T, rows, columns]."""
    terms = LogitTerms(
        *(np.array(each, np.int32)[None] for each in (subject.words, [PAD] * len(subject.words)))
    )
    return model.token_maps(method, subject.grid[None], [subject.rescored], terms)


def explain(model: CaptionModel, subject: CaptionedImage, target: Target) -> NDArray[np.float32]:
    """Explain a target anew."""
    other = CaptionedImage(model, subject.image, subject.tokens)
    return finish(METHODS["learned"].explain(other, target)).values


def test_a_captioner_learns_maps_and_offers_them(
    model: LstmCaptionModel,
    arguments: list[str],
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Loaded before: the copy is the same captioner, and loading it takes seconds.
    monkeypatch.setattr(f"{main.__module__}.open_captioner", lambda *_: model)
    assert main(arguments) == 0

    assert f"{copied / FILE}: fitted to 11 images" in capsys.readouterr().out
    assert "learned" not in available_methods(model)
    model = LstmCaptionModel(copied)
    assert list(model.live_methods) == ["readcam", "gradcam", "hirescam", "learned"]
    assert next(iter(available_methods(model))) == model.live_method == "readcam"
    assert "learned" in available_methods(model)
    subject = subject_of(model)
    words = np.array(subject.words, np.int32)[None]
    hidden = subject.rescored.hidden[None, : words.size]
    assert model.head
    expected = model.head(subject.grid[None], hidden, words, base_maps(model, subject, "readcam"))
    for index, word in enumerate(expected[0]):
        given = explain(model, subject, Target("word", index))
        np.testing.assert_allclose(given, word, atol=1e-5)
    of_caption = explain(model, subject, Target("caption"))
    np.testing.assert_allclose(of_caption, expected[0].sum(axis=0), atol=1e-5)

    # Measured to be the most faithful, they come with each caption.
    model.card = replace(model.card, verified=("learned", "readcam"))
    row = BeamCaption(*(part[0] for part in model.search(subject.grid[None])))
    (maps,) = model.live_maps(subject.grid[None], [row])
    assert maps.method == model.live_method == "learned"
    for each, word in zip(maps.words, expected[0], strict=True):
        np.testing.assert_allclose(each.values, word, atol=1e-5)

    # The head stays when the captioner's weights are randomised; its maps do not.
    for weight in model.captioner.decoder.weights:
        shuffle_weights(weight, np.random.default_rng(0))
    randomised = explain(model, subject, Target("caption"))
    assert not np.allclose(randomised, of_caption, atol=1e-2)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "none"], "none: no such folder"),
        (["--captioner", "none"], "none is not a captioner checkpoint"),
        (["--masks", "3"], "--masks is 3, but must be even"),
        (["--images", "9"], "--images is 9, but must be at least 10"),
        (["--epochs", "0"], "--epochs is 0, but must be at least 1"),
    ],
)
def test_errors_are_reported(
    arguments: list[str], more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, *more]) == 2
    assert message in capsys.readouterr().err


def test_a_word_of_several_tokens_has_the_sum_of_their_maps() -> None:
    model = SubwordCaptionModel()
    random = np.random.default_rng(0)
    shapes = initial_parameters(random, (ROWS, COLUMNS), 6, 0, len(PIECES))
    drawn = {name: random.normal(0, 0.3, each.shape) for name, each in shapes.items()}
    model.head, model.live_methods = MapHead(drawn, "gradcam"), ("learned", "gradcam")
    caption = tuple(map(PIECES.index, ("a", "snow", "##board", "##er", "dog", "[END]")))
    subject = CaptionedImage(model, photographs(SUBWORD_SIDE)[1], caption)
    by_token = model.head(
        model.cells(subject.grid[None]),
        np.zeros((1, 5, 0), np.float32),
        np.array(caption[:-1], np.int32)[None],
        base_maps(model, subject, "gradcam"),
    )[0]

    (maps,) = model.live_maps(subject.grid[None], [subject.rescored])

    expected = [by_token[0], by_token[1:4].sum(axis=0), by_token[4]]
    for each, word in zip(maps.words, expected, strict=True):
        np.testing.assert_allclose(each.values, word, rtol=1e-4, atol=1e-5)
    alone = explain(model, subject, Target("word", 1))
    np.testing.assert_allclose(alone, expected[1], rtol=1e-4, atol=1e-5)
