import numpy as np
import pytest

from inference.faithfulness.measurement import MeasuredImage, MeasuredWord
from inference.faithfulness.metrics import STEPS
from inference.faithfulness.summary import Interval, mean_curves, mean_interval, summarise, verify
from models.word_kinds import WordKind

NAMES = ("gradcam", "random", "centre")


def word(kind: WordKind, *levels: float) -> MeasuredWord:
    """Return a word with flat curves, each at its own level."""
    flat = {name: [level] * (STEPS + 1) for name, level in zip(NAMES, levels, strict=True)}
    gone = dict(zip(NAMES, levels, strict=True)) if kind == "object" else {}
    return MeasuredWord("word", kind, 0.5, deletion=flat, insertion=flat, gone=gone)


def image(*words: MeasuredWord) -> MeasuredImage:
    return MeasuredImage("caption", words)


def test_images_have_equal_weight() -> None:
    images = [
        image(word("object", 0.2, 0.5, 0.4), word("object", 0.4, 0.5, 0.4)),
        image(word("object", 0.1, 0.5, 0.4), word("function", 1, 1, 1)),
        image(word("function", 1, 1, 1)),
    ]

    summary = summarise(images, "object")["deletion"]

    assert summary["gradcam"].value.mean == pytest.approx(0.2)
    assert summary["gradcam"].against["random"].mean == pytest.approx(-0.3)
    assert summary["gradcam"].against["centre"].mean == pytest.approx(-0.2)
    assert summary["random"].against == {}


def test_differences_are_paired() -> None:
    """A constant difference has a narrow interval, however much the images vary."""
    levels = np.random.default_rng(0).uniform(0.2, 0.8, 50)
    images = [image(word("object", each, each + 0.01, each - 0.01)) for each in levels]

    summary = summarise(images, "object")["insertion"]["gradcam"]

    assert summary.value.high - summary.value.low > 0.05
    assert summary.against["random"].high == pytest.approx(-0.01)
    assert summary.against["centre"].low == pytest.approx(0.01)


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
def test_method_has_to_beat_both_baselines(score: str, gradcam: float, beats: bool) -> None:
    images = [image(word("object", gradcam, 0.5, 0.4))] * 5

    assert summarise(images, "object")[score]["gradcam"].beats(score) is beats


def test_verified_methods_beat_chance_in_both_directions_best_first() -> None:
    levels = {
        "good": (0.2, 0.8),
        "best": (0.1, 0.7),
        "beaten by the centre": (0.35, 0.6),
        "bad insertion": (0.05, 0.5),
        "bad deletion": (0.6, 0.9),
        "random": (0.5, 0.5),
        "centre": (0.3, 0.65),
    }
    curves = [
        {name: [pair[direction]] * (STEPS + 1) for name, pair in levels.items()}
        for direction in (0, 1)
    ]
    measured = MeasuredWord("word", "object", 0.5, curves[0], curves[1], dict.fromkeys(levels, 0.5))
    images = [image(measured)] * 20

    methods = set(levels) - {"random", "centre"}
    assert verify(images, methods, ()) == ["best", "good", "beaten by the centre"]
    assert verify(images, ("bad deletion", "good"), ()) == ["good"]
    with pytest.raises(ValueError, match="19 images with object words are too few"):
        verify([*images[1:], image(word("function", 1, 1, 1))], methods, ())


@pytest.mark.parametrize(
    ("deletion", "insertion", "first"),
    [
        (-0.02, 0.02, True),
        # Better on average, but not surely so.
        (-0.002, 0.02, False),
        (-0.02, 0.002, False),
        (-0.02, -0.02, False),
    ],
)
def test_learned_maps_lead_only_if_they_surely_beat_all_others(
    deletion: float, insertion: float, first: bool
) -> None:
    random = np.random.default_rng(0)
    images = []
    for _ in range(40):
        noise = random.normal(0, 0.02, 2)
        levels = {
            # Not live, so it is no rival.
            "rise": (0.1, 0.9),
            "readcam": (0.2, 0.7),
            "gradcam": (0.3, 0.6),
            "learned": (0.2 + deletion + noise[0], 0.7 + insertion + noise[1]),
            "random": (0.5, 0.5),
            "centre": (0.4, 0.55),
        }
        curves = [
            {name: [float(pair[direction])] * (STEPS + 1) for name, pair in levels.items()}
            for direction in (0, 1)
        ]
        gone = dict.fromkeys(levels, 0.5)
        images.append(image(MeasuredWord("word", "object", 0.5, curves[0], curves[1], gone)))

    others = ["readcam", "gradcam"]
    ranked = verify(images, ("rise", "learned", *others), ("learned", *others))
    assert ranked == ["rise", *(["learned", *others] if first else [*others, "learned"])]


def test_only_object_words_can_disappear() -> None:
    images = [image(word("object", 0, 0, 0), word("function", 0, 0, 0))]

    assert "disappearance" in summarise(images, "object")
    assert "disappearance" not in summarise(images, "function")
    assert summarise(images, "other") == {}


def test_curves_are_averaged_over_images() -> None:
    images = [
        image(word("object", 0.2, 0, 0), word("object", 0.4, 0, 0)),
        image(word("object", 0.1, 0, 0)),
    ]

    curves = mean_curves(images, "object")

    np.testing.assert_allclose(curves["deletion"]["gradcam"], [0.2] * (STEPS + 1))
    assert mean_curves(images, "other") == {}


def test_interval_matches_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)

    interval = mean_interval(values)

    margin = 1.96 * values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - margin, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + margin, abs=0.02)


def test_interval_contains_the_true_mean_in_95_percent() -> None:
    random = np.random.default_rng(2)
    intervals = [mean_interval(random.exponential(1, 60), seed) for seed in range(200)]

    assert 0.88 < np.mean([each.low < 1 < each.high for each in intervals]) < 0.99


def test_interval_of_one_value_is_a_point() -> None:
    assert mean_interval(np.array([0.25])) == Interval(0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("interval", "excludes"),
    [
        (Interval(1, 0.1, 2), True),
        (Interval(-1, -2, -0.1), True),
        (Interval(1, -0.1, 2), False),
        (Interval(0, 0, 0), False),
    ],
)
def test_interval_excludes_zero(interval: Interval, excludes: bool) -> None:
    assert interval.excludes_zero is excludes
