"""Occlusion and RISE on a captioner whose only tag detects a light patch."""

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations.map import Map
from inference.explanations.method import Method
from inference.explanations.methods.occlusion import Occlusion, mean_drops
from inference.explanations.methods.rise import Rise
from inference.explanations.score import target_score
from inference.explanations.target import Target
from inference.progress import finish
from models.captioner.captioner import Captioner
from models.checkpoint import save
from models.language import END, PAD, START, UNKNOWN
from models.tag_kinds import tag_kinds
from tests.inference.conftest import CARD, TAGGED_SIDE, TAGS
from tests.inference.explanations.conftest import follow
from tests.support.captioners.lstm import LstmCaptionedImage
from tests.support.oracle.numpy_decoder import NumpyDecoder
from tests.support.oracle.plain_masking import plain_occlusion, plain_rise

Image = NDArray[np.uint8]

PATCH = 32
"""Side of the patch in pixels."""
KIND = next(kind for kind in tag_kinds() if len(kind.classes) == 1)
_EXAMPLES = 200
PLACES = [(0, 0), (32, 64), (96, 96), (80, 8)]


def _visibility(random: np.random.Generator) -> NDArray[np.float32]:
    """Return how much of each pixel of the patch is visible: a random soft mask."""
    cells = (random.random((3, 3)) < random.random()).astype(np.float32)
    return np.asarray(cv2.resize(cells, (PATCH, PATCH)), np.float32)


def with_patch(place: tuple[int, int], visible: float | NDArray[np.float32] = 1) -> Image:
    """Return a dark image with a light patch, masked by `visible`, [PATCH, PATCH]."""
    image = np.full((TAGGED_SIDE, TAGGED_SIDE, 3), 60, np.float32)
    row, column = place
    image[row : row + PATCH, column : column + PATCH] += 160 * np.asarray(visible)[..., None]
    return image.astype(np.uint8)


@pytest.fixture(scope="module")
def detector(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> LstmCaptionModel:
    """A captioner whose tag `KIND` measures how much of the patch is visible."""
    made = Captioner(
        replace(captioner.config, image_size=TAGGED_SIDE, classes=1000), captioner.vocabulary
    )
    made.set_weights([*captioner.get_weights(), np.zeros((1280, 1000)), np.zeros(1000)])
    random = np.random.default_rng(3)
    visible = [_visibility(random) for _ in range(_EXAMPLES)]
    images = np.stack(
        [with_patch(place, part) for place, part in zip(cycle(PLACES), visible, strict=False)]
    )
    # A few at a time: all at once would take gigabytes.
    parts = np.array_split(images.astype(np.float32), _EXAMPLES // 10)
    grids = np.concatenate([np.asarray(made.encoder(part)) for part in parts]).mean(axis=(1, 2))
    logits = [16 * part.mean() - 8 for part in visible]
    # Ridge regression in its dual form, as there are fewer examples than features.
    mean = grids.mean(axis=0)
    products = (grids - mean) @ (grids - mean).T
    ridge = 1e-3 * np.trace(products) / _EXAMPLES * np.eye(_EXAMPLES)
    weights = (grids - mean).T @ np.linalg.solve(products + ridge, logits - np.mean(logits))
    (place,) = KIND.classes
    kernel, bias = np.zeros((1280, 1000)), np.zeros(1000)
    # The tagger subtracts the log-sum-exp of the other classes.
    kernel[:, place], bias[place] = weights, np.mean(logits) - mean @ weights + np.log(999)
    made.set_weights([*captioner.get_weights(), kernel, bias])
    folder: Path = tmp_path_factory.mktemp("captioner") / "detector"
    save(folder, made, replace(CARD, tags=TAGS))
    return LstmCaptionModel(folder)


@pytest.mark.parametrize("method", [Occlusion(cells=8), Rise()], ids=lambda each: each.name)
@pytest.mark.parametrize("place", PLACES)
def test_the_map_highlights_the_patch(
    detector: LstmCaptionModel, method: Method, place: tuple[int, int]
) -> None:
    subject = LstmCaptionedImage(detector, with_patch(place), (END,))
    values = finish(method.explain(subject, Target("tag", text=KIND.name))).values

    cell = TAGGED_SIDE // len(values)
    patch = np.zeros(values.shape, bool)
    patch[tuple(slice(start // cell, (start + PATCH) // cell) for start in place)] = True
    assert values[patch].mean() > values[~patch].mean() + 1.5 * values[~patch].std()


def scores_of(subject: LstmCaptionedImage, target: Target) -> dict[str, Callable[..., float]]:
    """Return z and the probability of a word or contrast as functions of an image, in NumPy."""
    captioner, words = subject.model.captioner, subject.model.captioner.vocabulary.words

    def logits(image: NDArray[np.float64]) -> NDArray[np.float64]:
        (grid,) = subject.model.encode_pixels(image[None].astype(np.float32))
        decoder = NumpyDecoder(captioner.decoder, grid)
        state, before = decoder.start(), START
        for token in subject.tokens[: target.index]:
            _, _, state = decoder.step(before, state)
            before = token
        return decoder.step(before, state)[0]

    assert target.index is not None
    word = subject.tokens[target.index]

    def z(image: NDArray[np.float64]) -> float:
        found = logits(image)
        return float(found[word] - (found[words.index(target.text)] if target.text else 0))

    def probability(image: NDArray[np.float64]) -> float:
        found = logits(image)
        found[[PAD, START, UNKNOWN]] = -np.inf
        if target.text:
            return float(1 / (1 + np.exp(found[words.index(target.text)] - found[word])))
        return float(np.exp(found[word] - found.max()) / np.exp(found - found.max()).sum())

    return {"z": z, "probability": probability}


def a_word_and_a_contrast(subject: LstmCaptionedImage) -> list[Target]:
    words = subject.model.captioner.vocabulary.words
    told = subject.candidates[1]
    # An alternative that the captioner names, and a word that it does not.
    other = next(index for index in range(END + 2, len(words)) if index not in told)
    return [
        Target("word", 2),
        Target("contrast", 1, words[int(told[told != told[0]][0])]),
        Target("contrast", 1, words[other]),
    ]


@pytest.mark.parametrize("index", range(3))
def test_both_equal_their_plain_definitions(
    model: LstmCaptionModel, subject: LstmCaptionedImage, index: int
) -> None:
    target = a_word_and_a_contrast(subject)[index]
    own = LstmCaptionedImage(model, subject.image, subject.tokens)
    # Shared scores must not matter.
    finish(Occlusion(cells=2).explain(own, Target("word", 0)))
    finish(Rise(masks=12, cells=3).explain(own, Target("word", 0)))
    scores = scores_of(own, target)

    occlusion = finish(Occlusion(cells=2).explain(own, target)).values
    drops = plain_occlusion(own.pixels, scores["z"], cells=2, window=2)
    scale = np.abs(drops).max()
    np.testing.assert_allclose(occlusion, np.maximum(drops, 0), rtol=0, atol=1e-3 * scale)

    rise = finish(Rise(masks=12, cells=3).explain(own, target)).values
    plain = plain_rise(own.pixels, scores["probability"], masks=12, cells=3)
    # Single precision is 6e-8 of a probability near 0.5.
    np.testing.assert_allclose(rise, plain, rtol=0, atol=1e-3 * plain.max() + 1e-6)


def test_the_second_map_of_an_image_needs_no_further_pass(
    model: LstmCaptionModel, subject: LstmCaptionedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = LstmCaptionedImage(model, subject.image, subject.tokens)
    encoded: list[int] = []
    encode = model.encode_pixels

    def count(pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        encoded.append(len(pixels))
        return encode(pixels)

    _ = own.grid
    monkeypatch.setattr(model, "encode_pixels", count)
    alternative, rare = a_word_and_a_contrast(own)[1:]
    for method, passes in ((Occlusion(cells=2), 9), (Rise(masks=36), 36)):
        for target in (Target("word", 0), Target("word", 1), Target("caption"), alternative):
            _, rough = follow(method.explain(own, target))
            assert bool(rough) == (target == Target("word", 0))
        finish(method.explain(own, Target("tag", text=KIND.name)))
        assert sum(encoded) == passes
        finish(method.explain(own, rare))
        assert sum(encoded) == 2 * passes
        encoded.clear()
    # Whatever is asked for, little is kept.
    words = model.captioner.vocabulary.words[END + 2 :]
    for other in words[:8]:
        if other not in [words[0], own.spans[0].text]:
            finish(Occlusion(cells=1, window=1).explain(own, Target("contrast", 0, other)))
    assert len(own.masked) <= 4


def test_two_maps_computed_in_turns_share_every_pass(
    model: LstmCaptionModel, subject: LstmCaptionedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = LstmCaptionedImage(model, subject.image, subject.tokens)
    alone = [finish(Rise(masks=24).explain(own, Target("word", place))).values for place in (0, 1)]
    fresh = LstmCaptionedImage(model, subject.image, subject.tokens)
    encoded: list[int] = []
    encode = model.encode_pixels

    def count(pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        encoded.append(len(pixels))
        return encode(pixels)

    _ = fresh.grid
    monkeypatch.setattr(model, "encode_pixels", count)
    dropped = Rise(masks=24).explain(fresh, Target("word", 2))
    works = [Rise(masks=24).explain(fresh, Target("word", place)) for place in (0, 1)]
    for _ in range(4):
        next(dropped)
    dropped.close()
    together: dict[int, Map] = {}
    while len(together) < 2:
        for place, work in enumerate(works):
            try:
                next(work)
            except StopIteration as end:
                together.setdefault(place, end.value)

    assert sum(encoded) == 24
    for place, values in enumerate(alone):
        np.testing.assert_allclose(together[place].values, values, rtol=0, atol=1e-6)


def test_rough_maps_of_occlusion_are_unbiased_and_end_at_the_map(
    model: LstmCaptionModel, subject: LstmCaptionedImage
) -> None:
    own = LstmCaptionedImage(model, subject.image, subject.tokens)
    # Every cell in which support and its opposite mix is rectified: measured without.
    target, cells = Target("word", 2), 3
    score = target_score(own, target)
    method = Occlusion(cells)
    tilings = method.tilings()
    windows = np.concatenate(tilings)
    final, rough = follow(method.explain(own, target))
    (scored,) = own.masked.values()
    whole = score.logits(own.grid[None])
    drops = whole - score.logits_of(scored.copies(0, len(windows)))
    every = mean_drops(drops, windows)
    np.testing.assert_allclose(final.values, np.maximum(every, 0), atol=1e-6)
    # Each tiling covers every cell once, and is as likely to be the first.
    parts = np.split(drops, np.cumsum([len(each) for each in tilings])[:-1])
    first = [mean_drops(part, tiling) for part, tiling in zip(parts, tilings, strict=True)]
    assert all((tiling.sum(axis=0) == 1).all() for tiling in tilings)
    np.testing.assert_allclose(np.mean(first, axis=0), every, atol=1e-5)
    firsts = {Occlusion(cells, seed=seed).tilings()[0].tobytes() for seed in range(40)}
    assert firsts == {each.tobytes() for each in tilings}
    assert len(rough) == len(tilings) - 1
    np.testing.assert_allclose(rough[0].map.values, np.maximum(first[0], 0), atol=1e-6)
    assert rough[0].doing == f"Rough map from {len(tilings[0])} of {len(windows)} windows"


def test_rise_is_deterministic(subject: LstmCaptionedImage) -> None:
    once, again = (finish(Rise(masks=6).explain(subject, Target("word", 0))).values for _ in "12")

    np.testing.assert_array_equal(once, again)
    assert once.shape == (TAGGED_SIDE, TAGGED_SIDE)
    assert once.min() == 0 < once.max()
