from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning import CaptionModel
from inference.following import follow
from inference.steadiness import NEWS_GAIN, Anchor, Followed, View
from models.beam_search import BeamCaption
from models.content_words import content_words
from models.vocabulary import END
from tests.camera import PHOTOGRAPHS, photograph
from web.settings import DEFAULT_CAPTIONER

Picture = NDArray[np.uint8]
PICTURES = [photograph(file) for file in PHOTOGRAPHS]


@pytest.fixture(scope="module")
def model() -> CaptionModel:
    """The shipped captioner: one that never learnt to look tells all pictures alike."""
    return CaptionModel(DEFAULT_CAPTIONER)


def look(model: CaptionModel, image: Picture, anchor: Anchor | None = None) -> Followed:
    return follow(model, [View(image, anchor)])[0]


def look_afresh(model: CaptionModel, image: Picture, anchor: Anchor) -> Followed:
    return follow(model, [View(image, anchor, afresh=True)])[0]


@pytest.fixture(scope="module")
def hesitant(model: CaptionModel) -> tuple[Picture, Anchor]:
    """A picture, and an anchor whose caption is less likely than the one that is found."""
    rivals = [rival for image in PICTURES for rival in _rivals(model, image)]
    # Not a tie, which noise would break; and said whole, so that there are words to look at.
    fitting = [
        (gain, image, anchor)
        for gain, image, anchor in rivals
        if gain < NEWS_GAIN / 2 and anchor.caption.fallback is None
    ]
    _, image, anchor = max(fitting, key=lambda rival: rival[0])
    return image, anchor


def _rivals(model: CaptionModel, image: Picture) -> Iterator[tuple[float, Picture, Anchor]]:
    """Captions of other content, and by how much the one that is found is likelier per word."""
    found = look(model, image).anchor
    grid = model.encode([image])
    best = _row(model.retell(grid, [found.tokens]))
    for position in range(len(found.tokens) - 1):
        for other in best.alternative_tokens[position].tolist():
            tokens = (*found.tokens[:position], other, *found.tokens[position + 1 :])
            contents = {
                content_words(model.text(np.array(each))) for each in (found.tokens, tokens)
            }
            if len(contents) == 2 and other != END:
                told = _row(model.retell(grid, [tokens]))
                gain = (best.search_log_probs.sum() - told.search_log_probs.sum()) / len(tokens)
                caption = model.read(told, grid[0], found.caption.timing_ms)
                yield float(gain), image, replace(found, caption=caption, tokens=tokens)


def _row(captions: BeamCaption) -> BeamCaption:
    return BeamCaption(*(part[0] for part in captions))


def noisy(image: Picture, by: float) -> Picture:
    noise = np.random.default_rng(0).normal(0, by, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_a_first_picture_is_captioned_as_it_would_be_alone(model: CaptionModel) -> None:
    for image in PICTURES:
        followed = look(model, image)
        alone = model.caption(image)
        assert followed.caption == replace(alone, timing_ms=followed.caption.timing_ms)
        assert not followed.caption.kept


def test_where_nothing_moved_the_caption_is_kept_and_nothing_searched_for(
    model: CaptionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(model, PICTURES[0])
    monkeypatch.delattr(CaptionModel, "search")
    second = look(model, noisy(PICTURES[0], 3), first.anchor)

    assert second.caption.kept
    assert second.anchor is first.anchor
    assert second.caption == replace(first.caption, kept=True, timing_ms=second.caption.timing_ms)


def test_a_fresh_look_may_be_asked_for_where_nothing_moved(model: CaptionModel) -> None:
    first = look(model, PICTURES[0])
    second = look_afresh(model, PICTURES[0], first.anchor)

    assert not second.caption.kept
    assert second.caption.text == first.caption.text


def test_another_scene_is_captioned_as_it_would_be_alone(model: CaptionModel) -> None:
    for before, now in pairwise(PICTURES):
        followed = look(model, now, look(model, before).anchor)
        assert followed.caption.text == model.caption(now).text
        assert not followed.caption.kept


def test_a_caption_that_is_hardly_likelier_takes_no_place(
    model: CaptionModel, hesitant: tuple[Picture, Anchor]
) -> None:
    image, anchor = hesitant
    followed = look_afresh(model, image, anchor)

    assert followed.caption.text == anchor.caption.text
    assert not followed.caption.kept
    assert followed.anchor.tokens == anchor.tokens


def test_words_that_stay_are_as_sure_as_the_new_picture_makes_them(
    model: CaptionModel, hesitant: tuple[Picture, Anchor]
) -> None:
    image, anchor = hesitant
    same = look_afresh(model, image, anchor).caption
    other = look_afresh(model, noisy(image, 4), anchor).caption

    probs = [[word.prob for word in each.words] for each in (anchor.caption, same, other)]
    assert same.text == other.text == anchor.caption.text
    assert probs[1] == pytest.approx(probs[0], abs=2e-3)
    assert probs[2] != pytest.approx(probs[0], abs=2e-3)


def test_a_caption_that_does_not_fit_goes_even_if_little_moved(model: CaptionModel) -> None:
    fitting, wrong = (look(model, image).anchor for image in PICTURES[:2])
    anchor = replace(fitting, caption=wrong.caption, tokens=wrong.tokens)
    followed = look_afresh(model, PICTURES[0], anchor)

    assert followed.caption.text == fitting.caption.text


def test_slow_changes_add_up_from_where_the_caption_was_first_said(
    model: CaptionModel, hesitant: tuple[Picture, Anchor]
) -> None:
    image, anchor = hesitant
    far = look(model, image[::-1, ::-1] // 2).anchor
    # Near the last picture, far from the one that the caption was of.
    drifted = replace(anchor, origin=far.features)
    followed = look_afresh(model, image, drifted)

    assert followed.caption.text == model.caption(image).text


def test_only_a_search_that_finds_the_same_content_says_a_caption_anew(
    model: CaptionModel, hesitant: tuple[Picture, Anchor]
) -> None:
    image, stays = hesitant
    found = look(model, image).anchor
    now = noisy(image, 1)

    for anchor, said_anew in ((stays, False), (found, True)):
        after = look_afresh(model, now, anchor).anchor
        assert after.tokens == anchor.tokens
        assert not np.array_equal(after.features, anchor.features)
        expected = after.features if said_anew else anchor.origin
        assert np.array_equal(after.origin, expected)


def test_streams_that_are_captioned_together_are_not_mixed_up(
    model: CaptionModel, hesitant: tuple[Picture, Anchor]
) -> None:
    first, second, third, _, other = PICTURES
    wrong = replace(look(model, first).anchor, tokens=look(model, other).anchor.tokens)
    views = [
        View(noisy(first, 3), look(model, first).anchor),
        View(second),
        View(hesitant[0], hesitant[1], afresh=True),
        View(first, wrong, afresh=True),
        View(third, look(model, first).anchor),
    ]
    together = follow(model, views)

    for view, followed in zip(views, together, strict=True):
        alone = follow(model, [view])[0]
        assert followed.caption.text == alone.caption.text
        assert followed.caption.kept == alone.caption.kept
        assert followed.anchor.tokens == alone.anchor.tokens
        np.testing.assert_allclose(followed.anchor.features, alone.anchor.features, atol=1e-2)
    assert [followed.caption.kept for followed in together] == [True, False, False, False, False]


def test_a_stream_is_refused_what_a_picture_is(model: CaptionModel) -> None:
    with pytest.raises(ValueError, match="uint8"):
        follow(model, [View(PICTURES[0][..., 0])])
    with pytest.raises(ValueError, match="beam width 9"):
        follow(model, [View(PICTURES[0])], beam_width=9)
