"""Explanations of a captioner whose words have several tokens and whose encodings are no grid."""

from collections.abc import Callable
from itertools import islice, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.adversarial import AdversarialParams
from inference.adversarial.analysis import analyse as analyse_robustness
from inference.captioning.model import Ability
from inference.captioning.stream_captions import caption_frames
from inference.captioning.stream_state import FrameRequest
from inference.concepts import ConceptParams
from inference.concepts.analysis import analyse as analyse_concepts
from inference.concepts.discovery import discover
from inference.explanations import Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.masking import check_map, top_cells
from inference.explanations.method import Method
from inference.explanations.methods import METHODS, available_methods
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.methods.occlusion import Occlusion
from inference.explanations.methods.rise import Rise
from inference.explanations.methods.saliency import SmoothGrad
from inference.explanations.score import target_score
from inference.progress import finish
from tests.inference.conftest import photographs
from tests.inference.explanations.conftest import follow
from tests.support.captioners.subwords import (
    COLUMNS,
    END,
    PIECES,
    ROWS,
    SIDE,
    SubwordCaptionModel,
)
from tests.support.oracle.plain_masking import plain_masks, plain_rise
from tests.support.oracle.plain_subwords import encode, log_probs, next_logits

CAPTION = tuple(map(PIECES.index, ("a", "snow", "##board", "##er", "'", "s", "dog", "[END]")))
WORDS = {"a": (0, 1), "snowboarder": (1, 4), "'s": (4, 6), "dog": (6, 7)}
PLACES = list(WORDS.values())
IMAGE = photographs(SIDE)[4]
"""The captioner captions it so."""


@pytest.fixture(scope="module")
def model() -> SubwordCaptionModel:
    return SubwordCaptionModel()


@pytest.fixture(scope="module")
def subject(model: SubwordCaptionModel) -> CaptionedImage:
    return CaptionedImage(model, photographs(SIDE)[1], CAPTION)


def differentiate(
    z: Callable[[NDArray[np.float64]], float], at: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Differentiate by central differences."""
    found, step = np.zeros(at.shape), 1e-5
    for index in np.ndindex(at.shape):
        change = np.zeros(at.shape)
        change[index] = step
        found[index] = (z(at + change) - z(at - change)) / (2 * step)
    return found


def summed_logits(
    model: SubwordCaptionModel, encoding: NDArray[np.floating], start: int, stop: int
) -> float:
    logits = next_logits(model, encoding, CAPTION)
    return float(sum(logits[place, CAPTION[place]] for place in range(start, stop)))


def signed_gradcam(
    model: SubwordCaptionModel, subject: CaptionedImage, start: int, stop: int
) -> NDArray[np.float64]:
    """Return Grad-CAM of the sum of some tokens' logits over the patches, without the ReLU."""
    grid = subject.grid.astype(np.float64)
    gradient = differentiate(lambda x: summed_logits(model, x, start, stop), grid)
    return np.asarray((grid[1:] @ gradient[1:].mean(axis=0)).reshape(ROWS, COLUMNS))


def test_a_words_probability_is_the_product_of_its_tokens(model: SubwordCaptionModel) -> None:
    image = IMAGE
    caption = model.caption(image)
    found = log_probs(model, encode(model, image), CAPTION)

    assert caption.text == "A snowboarder's dog"
    assert [word.text for word in caption.words] == list(WORDS)
    for word, (start, stop) in zip(caption.words, PLACES, strict=True):
        assert word.prob == pytest.approx(np.exp(found[start:stop].sum()), abs=1e-4)
    alternatives = [each.text for word in caption.words for each in word.alternatives]
    assert not any(each.startswith("#") for each in alternatives)


@pytest.mark.parametrize("index", range(len(WORDS)))
def test_the_score_of_a_word_is_that_of_its_tokens(
    model: SubwordCaptionModel, subject: CaptionedImage, index: int
) -> None:
    score = target_score(subject, Target("word", index))
    grids = model.encode(list(photographs(SIDE)[:3]))

    z, probabilities = score.logits(grids), score.probabilities(grids)
    for row, grid in enumerate(grids):
        start, stop = PLACES[index]
        assert z[row] == pytest.approx(summed_logits(model, grid, start, stop), rel=1e-4)
        expected = np.exp(log_probs(model, grid, CAPTION)[start:stop].sum())
        assert probabilities[row] == pytest.approx(expected, rel=1e-4)


def test_the_probability_of_a_caption_is_the_geometric_mean_over_words(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    (given,) = target_score(subject, Target("caption")).probabilities(subject.grid[None])

    without_end = log_probs(model, subject.grid, CAPTION)[:-1]
    assert given == pytest.approx(np.exp(without_end.sum() / len(WORDS)), rel=1e-4)


def test_an_index_counts_words(subject: CaptionedImage) -> None:
    with pytest.raises(ValueError, match="the caption has 4 words, none at index 4"):
        target_score(subject, Target("word", 4))


@pytest.mark.parametrize(
    ("caption", "index", "other", "place", "plus", "minus"),
    [
        (("a", "snow", "##board", "##er", "[END]"), 1, "dog", 1, "snow", "dog"),
        (("a", "snow", "##board", "##er", "[END]"), 1, "snowman", 2, "##board", "##man"),
        (("a", "dog", "on", "snow", "[END]"), 3, "snowman", 4, "[END]", "##man"),
        (("a", "snow", "hill", "[END]"), 1, "snowman", 2, "hill", "##man"),
    ],
)
def test_words_are_contrasted_where_their_tokens_part(
    model: SubwordCaptionModel,
    caption: tuple[str, ...],
    index: int,
    other: str,
    place: int,
    plus: str,
    minus: str,
) -> None:
    tokens = tuple(map(PIECES.index, caption))
    subject = CaptionedImage(model, photographs(SIDE)[1], tokens)
    logits = next_logits(model, subject.grid, tokens)[place]
    expected = logits[PIECES.index(plus)] - logits[PIECES.index(minus)]

    score = target_score(subject, Target("contrast", index, other))

    assert score.logits(subject.grid[None])[0] == pytest.approx(expected, rel=1e-4)
    (probability,) = score.probabilities(subject.grid[None])
    assert probability == pytest.approx(1 / (1 + np.exp(-expected)), rel=1e-4)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("snow", "one begins with the other"),
        ("snowboarder", "already has 'snowboarder'"),
        ("snowzebra", "not in the captioner's vocabulary"),
    ],
)
def test_an_unsuitable_contrast_is_refused(
    subject: CaptionedImage, other: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        target_score(subject, Target("contrast", 1, other))


def test_the_live_map_of_a_word_is_the_sum_of_its_tokens_maps(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    (maps,) = model.live_maps(subject.grid[None], [subject.rescored])

    assert maps.method == "gradcam"
    assert len(maps.words) == len(WORDS)
    for given, (start, stop) in zip(maps.words, PLACES, strict=True):
        expected = np.maximum(signed_gradcam(model, subject, start, stop), 0)
        np.testing.assert_allclose(given.values, expected, atol=1e-3)
    whole = np.maximum(signed_gradcam(model, subject, 0, len(CAPTION) - 1), 0)
    np.testing.assert_allclose(maps.caption.values, whole, atol=1e-3)
    assert maps.caption.values.max() > 0


@pytest.mark.parametrize("name", ["gradcam", "gradcam-total", "hirescam"])
def test_class_activation_maps_are_of_the_patches(
    model: SubwordCaptionModel, subject: CaptionedImage, name: str
) -> None:
    start, stop = WORDS["snowboarder"]
    given = finish(METHODS[name].explain(subject, Target("word", 1))).values

    grid = subject.grid.astype(np.float64)
    gradient = differentiate(lambda x: summed_logits(model, x, start, stop), grid)[1:]
    weighted = (gradient if name == "hirescam" else gradient.mean(axis=0)) * grid[1:]
    expected = np.maximum(weighted.sum(axis=1).reshape(ROWS, COLUMNS), 0)
    np.testing.assert_allclose(given, expected, atol=1e-3)
    assert given.max() > 0


def test_saliency_of_a_word_is_the_gradient_at_the_pixels(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    start, stop = WORDS["snowboarder"]
    given = finish(METHODS["saliency"].explain(subject, Target("word", 1))).values

    pixels = subject.pixels.astype(np.float64)
    for row, column in ((0, 0), (5, 20), (16, 15), (31, 31)):

        def z(colour: NDArray[np.float64], row: int = row, column: int = column) -> float:
            changed = pixels.copy()
            changed[row, column] = colour
            return summed_logits(model, encode(model, changed), start, stop)

        expected = np.abs(differentiate(z, pixels[row, column])).max()
        assert given[row, column] == pytest.approx(expected, rel=1e-2)


def test_a_captioner_is_explained_by_what_it_can_do(model: SubwordCaptionModel) -> None:
    gradients = {"gradcam-total", "hirescam"}
    pixels = {"saliency", "smoothgrad", "integrated-gradients"}
    always = {"gradcam", "occlusion", "rise"}
    for abilities, expected in (
        (frozenset(), always),
        (frozenset({Ability.GRADIENTS}), always | gradients),
        (model.abilities, always | gradients | pixels),
    ):
        offered = available_methods(SubwordCaptionModel(abilities))
        assert set(offered) == expected
        assert next(iter(offered)) == "gradcam"
        kinds = {kind for each in offered.values() for kind in each.card_for(model).kinds}
        assert kinds == {"word", "contrast", "caption"}


@pytest.mark.parametrize("method", [Occlusion(cells=4), Rise(masks=8), SmoothGrad(copies=2)])
def test_other_methods_explain_it_too(subject: CaptionedImage, method: Method) -> None:
    values = finish(method.explain(subject, Target("word", 1))).values

    assert np.isfinite(values).all()
    assert values.max() > values.min() >= 0


def test_rough_maps_of_rise_are_the_map_of_fewer_masks_and_converge_without_bias(
    model: SubwordCaptionModel,
) -> None:
    masks, shape = 200, (SIDE, SIDE)
    subject = CaptionedImage(model, IMAGE, CAPTION)
    start, stop = WORDS["snowboarder"]

    def probability(image: NDArray[np.float64]) -> float:
        found = log_probs(model, encode(model, image), CAPTION)
        return float(np.exp(found[start:stop].sum()))

    final, rough = follow(Rise(masks).explain(subject, Target("word", 1)))

    counts = [24, 48, 96]
    assert [each.doing for each in rough] == [f"Rough map from {n} of 200 masks" for n in counts]
    assert all(0 < one.done < two.done < 1 for one, two in pairwise(rough))
    for each, count in [(rough[0].map, 24), (rough[1].map, 48)]:
        plain = plain_rise(subject.pixels, probability, count, cells=7)
        np.testing.assert_allclose(each.values, plain, rtol=0, atol=1e-3 * plain.max() + 1e-6)
    errors = [np.abs(each.map.values - final.values).mean() for each in rough]
    assert errors[2] < 0.7 * errors[0]

    # Any 24 of the masks, not only the first ones.
    (scored,) = subject.masked.values()
    score = target_score(subject, Target("word", 1))
    scores = score.probabilities_of(scored.copies(0, masks)).astype(np.float64)
    drawn = np.stack(list(islice(plain_masks(SIDE, 7), masks))).reshape(masks, -1)
    random = np.random.default_rng(1)
    subsets = [random.choice(masks, 24, replace=False) for _ in range(800)]
    means = np.array([scores[each] @ drawn[each] / drawn[each].sum(axis=0) for each in subsets])
    every = scores @ drawn / drawn.sum(axis=0)
    np.testing.assert_allclose((every - every.min()).reshape(shape), final.values, atol=1e-5)
    bias = np.abs(means.mean(axis=0) - every).mean()
    assert bias < 0.1 * means.std(axis=0).mean()


def test_integrated_gradients_of_a_word_are_complete(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    score = target_score(subject, Target("word", 1))
    parts = finish(IntegratedGradients().attributions(subject, score)).values

    blank = np.broadcast_to(subject.mean_colour, subject.pixels.shape)
    start, stop = WORDS["snowboarder"]
    before, after = (
        summed_logits(model, encode(model, pixels), start, stop)
        for pixels in (blank, subject.pixels)
    )
    assert parts.sum() == pytest.approx(after - before, rel=0.02)


def test_what_a_captioner_cannot_do_is_refused_with_the_reason() -> None:
    unable = SubwordCaptionModel(frozenset())
    subject = CaptionedImage(unable, IMAGE, CAPTION)
    image, word = subject.image, Target("word", 1)

    with pytest.raises(ValueError, match="Saliency cannot explain this captioner"):
        METHODS["saliency"].explain(subject, word)
    with pytest.raises(ValueError, match="this captioner has no attention weights"):
        unable.attention(subject.grid[None], [subject.rescored])
    with pytest.raises(ValueError, match="has no tags"):
        target_score(subject, Target("tag", text="dog"))
    assert unable.analyses == ()
    with pytest.raises(ValueError, match="cannot be attacked"):
        next(analyse_robustness(unable, image, CAPTION, AdversarialParams()))
    with pytest.raises(ValueError, match="concepts cannot be analysed"):
        next(analyse_concepts(unable, image, CAPTION, ConceptParams()))
    with pytest.raises(ValueError, match="concepts cannot be discovered"):
        next(discover(unable, [image], "dog"))


def test_the_cells_that_a_check_blanks_are_the_captioners(
    model: SubwordCaptionModel, subject: CaptionedImage
) -> None:
    heat = finish(METHODS["gradcam"].explain(subject, Target("word", 1)))
    check = finish(check_map(subject, heat, 1))

    top = top_cells(heat, (ROWS, COLUMNS))
    assert top.shape == (ROWS, COLUMNS)
    image = subject.pixels.astype(np.float64)
    down, right = SIDE // ROWS, SIDE // COLUMNS
    for row, column in zip(*np.nonzero(top), strict=True):
        image[row * down : (row + 1) * down, column * right : (column + 1) * right] = (
            subject.pixels.mean(axis=(0, 1))
        )
    start, stop = WORDS["snowboarder"]
    expected = np.exp(log_probs(model, encode(model, image), CAPTION)[start:stop].sum())
    assert check.blanked == pytest.approx(expected, abs=1e-4)


def test_a_stream_keeps_its_caption_on_a_still_scene(model: SubwordCaptionModel) -> None:
    image = IMAGE
    (first,) = caption_frames(model, [FrameRequest(image)])
    (second,) = caption_frames(model, [FrameRequest(image, first.state)])

    assert first.state.tokens == CAPTION
    assert first.state.features.shape == (model.cells(model.encode([image])).shape[-1],)
    assert second.caption.kept
    assert first.caption.maps
    assert len(first.caption.maps.words) == len(first.caption.words) == len(WORDS)


def test_the_end_token_is_the_captioners_own(model: SubwordCaptionModel) -> None:
    image = IMAGE
    assert CaptionedImage(model, image, CAPTION).words == CAPTION[:-1]
    for tokens in ((*CAPTION[:2], END, CAPTION[2]), (2, END), (0, END), (99, END), ()):
        with pytest.raises(ValueError, match="a caption has"):
            CaptionedImage(model, image, tokens)


@pytest.mark.parametrize("method", [Occlusion(cells=2), Rise(masks=3)])
def test_no_more_images_are_encoded_between_two_yields_than_the_captioner_takes(
    model: SubwordCaptionModel,
    subject: CaptionedImage,
    method: Method,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded: list[int] = []
    encode = model.encode_pixels

    def count(pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        encoded.append(len(pixels))
        return encode(pixels)

    _ = subject.grid
    monkeypatch.setattr(model, "encode_pixels", count)
    slices = []
    for _ in method.explain(subject, Target("word", 1)):
        slices.append(sum(encoded))
        encoded.clear()
    assert max(slices) == model.max_batch == 1
    assert sum(slices) == slices.count(1) > 2
