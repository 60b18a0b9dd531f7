import numpy as np
import pytest

from inference.faithfulness.curves import STEPS
from inference.faithfulness.measurement import MeasuredPicture, MeasuredWord
from inference.faithfulness.summary import mean_curves, summarise
from inference.word_kinds import WordKind

NAMES = ("gradcam", "random", "centre")


def word(kind: WordKind, *levels: float) -> MeasuredWord:
    """A word whose curves are flat, each at a level of its own."""
    flat = {name: [level] * (STEPS + 1) for name, level in zip(NAMES, levels, strict=True)}
    gone = dict(zip(NAMES, levels, strict=True)) if kind == "object" else {}
    return MeasuredWord("word", kind, 0.5, deletion=flat, insertion=flat, gone=gone)


def picture(*words: MeasuredWord) -> MeasuredPicture:
    return MeasuredPicture("caption", words)


def test_each_picture_counts_the_same_however_many_words_it_has() -> None:
    pictures = [
        picture(word("object", 0.2, 0.5, 0.4), word("object", 0.4, 0.5, 0.4)),
        picture(word("object", 0.1, 0.5, 0.4), word("function", 1, 1, 1)),
        picture(word("function", 1, 1, 1)),
    ]

    figures = summarise(pictures, "object")["deletion"]

    assert figures["gradcam"].value.mean == pytest.approx(0.2)
    assert figures["gradcam"].against["random"].mean == pytest.approx(-0.3)
    assert figures["gradcam"].against["centre"].mean == pytest.approx(-0.2)
    assert figures["random"].against == {}


def test_differences_are_paired() -> None:
    """What is the same in every picture is certain, however different the pictures are."""
    levels = np.random.default_rng(0).uniform(0.2, 0.8, 50)
    pictures = [picture(word("object", each, each + 0.01, each - 0.01)) for each in levels]

    figures = summarise(pictures, "object")["insertion"]["gradcam"]

    assert figures.value.high - figures.value.low > 0.05
    assert figures.against["random"].high == pytest.approx(-0.01)
    assert figures.against["centre"].low == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("score", "gradcam", "beats"),
    [
        ("deletion", 0.1, True),
        ("deletion", 0.45, False),
        ("deletion", 0.9, False),
        ("insertion", 0.9, True),
        ("insertion", 0.45, False),
        ("insertion", 0.1, False),
        ("disappearance", 0.9, True),
    ],
)
def test_whoever_beats_both_baselines_beats_them(score: str, gradcam: float, beats: bool) -> None:
    pictures = [picture(word("object", gradcam, 0.5, 0.4))] * 5

    assert summarise(pictures, "object")[score]["gradcam"].beats(score) is beats


def test_only_objects_can_disappear() -> None:
    pictures = [picture(word("object", 0, 0, 0), word("function", 0, 0, 0))]

    assert "disappearance" in summarise(pictures, "object")
    assert "disappearance" not in summarise(pictures, "function")
    assert summarise(pictures, "other") == {}


def test_curves_are_averaged_over_pictures() -> None:
    pictures = [
        picture(word("object", 0.2, 0, 0), word("object", 0.4, 0, 0)),
        picture(word("object", 0.1, 0, 0)),
    ]

    curves = mean_curves(pictures, "object")

    np.testing.assert_allclose(curves["deletion"]["gradcam"], [0.2] * (STEPS + 1))
    assert mean_curves(pictures, "other") == {}
