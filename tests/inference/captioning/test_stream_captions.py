from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.captioning.steadiness import NEWS_GAIN, Anchor, Followed, View
from inference.captioning.stream_captions import follow
from inference.explanations.methods import METHODS
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from inference.progress import finish
from models.calibration.confidence import EVIDENCE, Doubt
from models.captioner.beam_search import BeamCaption
from models.checkpoint import read_card, write_card
from models.language.content_words import content_words
from models.language.vocabulary import END
from tests.inference.conftest import photographs
from tests.support.camera import PHOTOGRAPHS, photograph
from web.settings.server import DEFAULT_CAPTIONER

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


def test_maps_are_of_the_words_that_were_found_in_the_picture(model: CaptionModel) -> None:
    for image in PICTURES[:2]:
        followed = look(model, image)
        assert followed.anchor.caption.maps is followed.caption.maps
        assert followed.caption.timing_ms.maps > 0
        _are_own(model, image, followed)


def test_no_maps_are_made_for_a_view_that_wants_none(model: CaptionModel) -> None:
    followed = follow(model, [View(PICTURES[0], maps=False)])[0]

    assert followed.caption.maps is None
    assert followed.caption.timing_ms.maps == 0


@pytest.mark.parametrize("wanted", [True, False])
def test_a_kept_caption_keeps_its_maps(model: CaptionModel, wanted: bool) -> None:
    first = look(model, PICTURES[0])
    view = View(noisy(PICTURES[0], 3), first.anchor, maps=wanted)
    second = follow(model, [view])[0]

    assert second.caption.kept
    assert second.caption.maps is first.caption.maps
    assert second.caption.timing_ms.maps == 0


def test_what_is_asked_of_a_picture_next_need_not_encode_it_again(
    model: CaptionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchor = look(model, PICTURES[3]).anchor
    grid = model.encode([PICTURES[3]])[0]
    monkeypatch.delattr(CaptionModel, "encode_pixels")

    np.testing.assert_array_equal(Subject(model, PICTURES[3], anchor.tokens).grid, grid)


def test_a_kept_caption_without_maps_gets_them_when_they_are_wanted(model: CaptionModel) -> None:
    first = follow(model, [View(PICTURES[0], maps=False)])[0]
    second = look(model, PICTURES[0], first.anchor)

    assert second.caption.kept
    assert not second.anchor.caption.kept
    assert second.anchor.caption.maps is second.caption.maps
    _are_own(model, PICTURES[0], second)


def test_a_caption_that_stays_is_explained_on_the_new_picture(
    model: CaptionModel, hesitant: tuple[Picture, Anchor]
) -> None:
    image, anchor = hesitant
    followed = look_afresh(model, image, anchor)

    assert followed.anchor.tokens == anchor.tokens
    assert anchor.caption.maps is None
    _are_own(model, image, followed)


def test_streams_together_get_each_their_own_maps(
    model: CaptionModel, hesitant: tuple[Picture, Anchor]
) -> None:
    unexplained = follow(model, [View(PICTURES[0], maps=False)])[0].anchor
    views = [
        View(PICTURES[0], unexplained),
        View(PICTURES[1], maps=False),
        View(hesitant[0], hesitant[1], afresh=True),
        View(PICTURES[2]),
    ]
    kept, without, stays, found = follow(model, views)

    assert without.caption.maps is None
    for view, followed in ((views[0], kept), (views[2], stays), (views[3], found)):
        _are_own(model, view.image, followed)


def test_a_fallback_has_the_maps_of_the_words_that_it_says(folder: Path) -> None:
    doubt = Doubt(1.0, (0.0,) * len(EVIDENCE), offset=-9.0, threshold=0.5, beginning=1e-9)
    write_card(folder, replace(read_card(folder), doubt=doubt))
    doubting = CaptionModel(folder)
    followed = [look(doubting, image) for image in photographs(doubting.image_size)]

    assert all(each.caption.fallback for each in followed)
    shortened = [each for each in followed if each.caption.words]
    assert shortened
    for each in shortened:
        whole = len(each.anchor.tokens)
        assert 0 < len(each.caption.words) < whole
    for each, image in zip(followed, photographs(doubting.image_size), strict=True):
        _are_own(doubting, image, each)


def _are_own(model: CaptionModel, image: Picture, followed: Followed) -> None:
    """Whether the maps are those of the caption's words in that picture, asked for one by one."""
    caption, subject = followed.caption, Subject(model, image, followed.anchor.tokens)
    assert caption.maps
    assert len(caption.maps.words) == len(caption.words)
    for index, given in enumerate([*caption.maps.words, caption.maps.caption]):
        target = Target("word", index) if index < len(caption.words) else Target("caption")
        alone = finish(METHODS[caption.maps.method].explain(subject, target)).values
        np.testing.assert_allclose(given.values, alone, atol=1e-3 * alone.max())


def test_a_stream_is_refused_what_a_picture_is(model: CaptionModel) -> None:
    with pytest.raises(ValueError, match="uint8"):
        follow(model, [View(PICTURES[0][..., 0])])
    with pytest.raises(ValueError, match="beam width 9"):
        follow(model, [View(PICTURES[0])], beam_width=9)
