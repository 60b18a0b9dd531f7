"""Tests of the object tags."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray

from models.calibration import tags
from models.calibration.tags import (
    MAX_TAGS,
    TagCalibration,
    Tagger,
    choose_tags,
    mentioned_kinds,
    raw_log_odds,
)
from models.catalogue import SHIPPED_FOLDER
from models.checkpoint import load
from models.language import tokenize
from models.preprocessing import resize_to_square
from models.tag_kinds import tag_kinds

CHANNELS = 6
NAMES = [kind.name for kind in tag_kinds()]
TABLE = Path(tags.__file__).with_name("imagenet_tags.txt")


PENALTIES = {"dog": 3.0, "cup": 0.25}


@pytest.fixture
def classifier() -> keras.layers.Dense:
    """A random classifier with confident predictions."""
    random = np.random.default_rng(3)
    classifier = keras.layers.Dense(1000)
    classifier.build((None, CHANNELS))
    classifier.set_weights([random.normal(0, 4, (CHANNELS, 1000)), random.normal(0, 1, 1000)])
    return classifier


@pytest.fixture
def tagger(classifier: keras.layers.Dense) -> Tagger:
    return Tagger(classifier, TagCalibration(0.8, 0.5, PENALTIES, 0.3))


def grids(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(4).uniform(0, 3, (count, 3, 2, CHANNELS)).astype(np.float32)


def probabilities_of(**values: float) -> NDArray[np.float64]:
    """Probabilities of all kinds, 0 except for these."""
    probabilities = np.zeros(len(NAMES))
    for name, value in values.items():
        probabilities[NAMES.index(name.replace("_", " "))] = value
    return probabilities


def test_every_class_is_in_the_table_once() -> None:
    lines = [line for line in TABLE.read_text().splitlines() if line and line[0] != "#"]
    listed = [
        number
        for line in lines
        for part in line.split(" | ")[1].split(", ")
        for first, _, last in [part.partition("-")]
        for number in range(int(first), int(last or first) + 1)
    ]

    assert sorted(listed) == list(range(1000))
    assert {number for kind in tag_kinds() for number in kind.classes} < set(listed)


def test_table_is_well_formed() -> None:
    assert len(set(NAMES)) == len(NAMES) > 250
    for kind in tag_kinds():
        assert kind.classes and list(kind.classes) == sorted(set(kind.classes)), kind.name
        assert kind.words, kind.name
        # Captions are tokenized in this way before words are searched.
        assert all(" ".join(tokenize(words)) == words for words in kind.words), kind.name


@pytest.mark.parametrize(
    ("number", "name"),
    [
        # ILSVRC2012 numbers the classes in the order of the WordNet identifiers, n01440764
        # (tench) to n15075141 (toilet tissue).
        (0, "fish"),  # n01440764 tench
        (151, "dog"),  # n02085620 Chihuahua
        (207, "dog"),  # n02099601 golden retriever
        (285, "cat"),  # n02124075 Egyptian cat
        (340, "zebra"),  # n02391049 zebra
        (508, "keyboard"),  # n03085013 computer keyboard
        (620, "laptop"),  # n03642806 laptop
        (763, "gun"),  # n04086273 revolver
        (879, "umbrella"),  # n04507155 umbrella
        (920, "traffic light"),  # n06874185 traffic light
        (954, "banana"),  # n07753592 banana
        (967, "cup"),  # n07920052 espresso
        (999, "toilet paper"),  # n15075141 toilet tissue
    ],
)
def test_classes_are_numbered_as_in_the_challenge(number: int, name: str) -> None:
    assert [kind.name for kind in tag_kinds() if number in kind.classes] == [name]


@pytest.mark.parametrize("number", [539, 916])
def test_some_classes_have_no_tag(number: int) -> None:
    assert not any(number in kind.classes for kind in tag_kinds())


def test_raw_log_odds_are_those_of_the_summed_probabilities() -> None:
    scores = np.random.default_rng(0).normal(0, 3, (2, 1000))

    log_odds = ops.convert_to_numpy(raw_log_odds(scores.astype(np.float32)))

    for image in range(2):
        softmax = np.exp(scores[image]) / np.exp(scores[image]).sum()
        for index, kind in enumerate(tag_kinds()):
            p = sum(softmax[number] for number in kind.classes)
            assert log_odds[image, index] == pytest.approx(np.log(p / (1 - p)), abs=1e-4)


@pytest.mark.parametrize("lead", [50.0, 500.0])
def test_log_odds_of_certain_predictions_are_finite(lead: float) -> None:
    scores = np.zeros((1, 1000), np.float32)
    scores[0, 285] = lead

    log_odds = np.asarray(ops.convert_to_numpy(raw_log_odds(scores)))[0]

    assert np.isfinite(log_odds).all()
    assert NAMES[log_odds.argmax()] == "cat"
    # Rounding of 1 - p would limit it to 16.
    assert log_odds.max() > 40


def test_tags_equal_those_of_a_plain_loop(classifier: keras.layers.Dense, tagger: Tagger) -> None:
    images = grids(6)
    kernel, bias = (weight.astype(np.float64) for weight in classifier.get_weights())

    found_tags = tagger.tags(images)

    assert any(found_tags)
    for image, found in zip(images, found_tags, strict=True):
        mean = sum(cell.astype(np.float64) for row in image for cell in row) / 6
        likelihoods = np.exp(mean @ kernel + bias)
        expected = {}
        for kind in tag_kinds():
            p = likelihoods[list(kind.classes)].sum() / likelihoods.sum()
            log_odds = 0.8 * (np.log(p) - np.log1p(-p)) + 0.5 - PENALTIES.get(kind.name, 0.0)
            expected[kind.name] = 1 / (1 + np.exp(-log_odds))
        sure = sorted(((p, name) for name, p in expected.items() if p >= 0.3), reverse=True)
        assert [name for name, _ in found] == [name for _, name in sure]
        assert [p for _, p in found] == pytest.approx([p for p, _ in sure], rel=1e-3)


def test_logits_can_be_differentiated_in_the_grid(tagger: Tagger) -> None:
    import tensorflow as tf

    grid = tf.constant(grids(1))
    dog = NAMES.index("dog")
    with tf.GradientTape() as tape:
        tape.watch(grid)
        logit = tagger.logits(grid)[0, dog]
    gradient = tape.gradient(logit, grid).numpy()

    changed = np.array(grid)
    changed[0, 1, 1, 2] += 1e-2
    rise = float(tagger.logits(changed)[0, dog] - logit) / 1e-2
    assert gradient[0, 1, 1, 2] == pytest.approx(rise, rel=0.05)
    assert np.abs(gradient).min() > 0


def test_tags_are_ordered_by_probability_down_to_the_threshold() -> None:
    probabilities = probabilities_of(dog=0.6, cup=0.9, tent=0.3)

    assert [NAMES[index] for index in choose_tags(probabilities, 0.3)] == ["cup", "dog", "tent"]
    assert [NAMES[index] for index in choose_tags(probabilities, 0.31)] == ["cup", "dog"]
    assert choose_tags(probabilities, 0.95) == []


def test_number_of_tags_is_limited() -> None:
    probabilities = probabilities_of(dog=0.9, cup=0.8, tent=0.7, clock=0.6, piano=0.5, bench=0.4)

    assert [NAMES[i] for i in choose_tags(probabilities, 0.1)] == [
        "dog",
        "cup",
        "tent",
        "clock",
        "piano",
    ]
    assert MAX_TAGS == 5


def test_only_one_of_redundant_tags_is_chosen() -> None:
    probabilities = probabilities_of(laptop=0.7, computer=0.8, desk=0.6, boat=0.4, canoe=0.5)

    assert [NAMES[index] for index in choose_tags(probabilities, 0.1)] == [
        "computer",
        "desk",
        "canoe",
    ]


@pytest.mark.parametrize(
    ("captions", "names"),
    [
        (["A brown dog runs ."], {"dog"}),
        (["Two Puppies on a couch.", "sofas"], {"dog", "couch"}),
        (["A teddy bear"], {"teddy bear", "bear"}),
        (["A traffic light."], {"traffic light"}),
        (["Traffic under a light"], set()),
        (["A man in a t-shirt"], {"shirt"}),
        (["hotdogs", "the catalogue"], {"hot dog"}),
        ([], set()),
    ],
)
def test_mentions_are_whole_words_of_any_caption(captions: list[str], names: set[str]) -> None:
    assert {NAMES[index] for index in np.flatnonzero(mentioned_kinds(captions))} == names


@pytest.mark.parametrize(
    "calibration",
    [
        {"slope": 0.0},
        {"threshold": 0.0},
        {"threshold": 1.5},
        {"penalties": {"dog": -0.1}},
        {"penalties": {"unicorn": 0.1}},
    ],
)
def test_invalid_calibration_is_refused(calibration: dict[str, object]) -> None:
    fields = {"slope": 1.0, "offset": 0.0, "penalties": {}, "threshold": 0.5, **calibration}

    with pytest.raises(ValueError, match="tag"):
        TagCalibration(**fields)  # type: ignore[arg-type]


def test_classifier_of_other_classes_is_refused() -> None:
    classifier = keras.layers.Dense(21843)

    with pytest.raises(ValueError, match="21843"):
        Tagger(classifier, TagCalibration(1.0, 0.0, {}, 0.5))


BLANK = {
    "black": np.zeros((48, 64, 3), np.uint8),
    "white": np.full((48, 64, 3), 255, np.uint8),
    "wall": np.full((48, 64, 3), (201, 190, 172), np.uint8),
    "light from the left": np.broadcast_to(
        np.linspace(60, 220, 64).astype(np.uint8)[None, :, None], (48, 64, 3)
    ),
    "noise": np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8),
    "darkness and the noise of a camera": np.random.default_rng(1)
    .normal(20, 6, (480, 640, 3))
    .clip(0, 255)
    .astype(np.uint8),
}


def test_shipped_captioner_shows_no_tags_for_blank_images() -> None:
    captioner, card = load(SHIPPED_FOLDER)
    if captioner.classifier is None or card.tags is None:
        pytest.skip("the shipped captioner has no tags")
    side = captioner.config.image_size
    pixels = np.stack([resize_to_square(image, side) for image in BLANK.values()])

    found_tags = Tagger(captioner.classifier, card.tags).tags(
        captioner.encoder.predict_on_batch(pixels.astype(np.float32))
    )

    assert dict(zip(BLANK, found_tags, strict=True)) == dict.fromkeys(BLANK, ())
