import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.stream_captions import caption_frames
from inference.captioning.stream_state import (
    NEW_CONTENT_GAIN,
    FrameRequest,
    FrameResult,
    StreamState,
)
from inference.explanations.methods import METHODS
from inference.explanations.target import Target
from inference.progress import finish
from models.calibration import ConfidenceCalibration, WordCalibration
from models.calibration.confidence import CONFIDENCE_FEATURES
from models.calibration.word_confidence import WORD_FEATURES
from models.captioner.beam_search import BeamCaption
from models.catalogue import SHIPPED_FOLDER
from models.checkpoint import read_card, write_card
from models.consensus import Consensus, ConsensusCard, ConsensusConfig, save_consensus
from models.language import END, PAD, content_words
from tests.inference.conftest import photographs
from tests.support.captioners.lstm import LstmCaptionedImage
from tests.support.simulated_camera import PHOTOGRAPHS, photograph

Frame = NDArray[np.uint8]
FRAMES = [photograph(file) for file in PHOTOGRAPHS]


@pytest.fixture(scope="module")
def model() -> LstmCaptionModel:
    """The shipped captioner, as an untrained one captions all images alike.

    Captions are compared by log-probability alone.
    """
    return LstmCaptionModel(SHIPPED_FOLDER, consensus=False)


def caption(model: LstmCaptionModel, image: Frame, state: StreamState | None = None) -> FrameResult:
    return caption_frames(model, [FrameRequest(image, state)])[0]


def refresh(model: LstmCaptionModel, image: Frame, state: StreamState) -> FrameResult:
    return caption_frames(model, [FrameRequest(image, state, refresh=True)])[0]


@pytest.fixture(scope="module")
def rival(model: LstmCaptionModel) -> tuple[Frame, StreamState]:
    """A frame, and a state whose caption is slightly less probable than the one that is found."""
    rivals = [each for image in FRAMES for each in _rivals(model, image)]
    # The largest gain below the margin, as noise would break a tie; and without a fallback.
    fitting = [
        (gain, image, state)
        for gain, image, state in rivals
        if gain < NEW_CONTENT_GAIN / 2 and state.caption.fallback is None
    ]
    _, image, state = max(fitting, key=lambda each: each[0])
    return image, state


def _rivals(model: LstmCaptionModel, image: Frame) -> Iterator[tuple[float, Frame, StreamState]]:
    """Yield captions of other content, and the gain per word of the one that is found over them."""
    found = caption(model, image).state
    grid = model.encode([image])
    best = _row(model.rescore(grid, [found.tokens]))
    for position in range(len(found.tokens) - 1):
        for other in best.alternative_tokens[position].tolist():
            tokens = (*found.tokens[:position], other, *found.tokens[position + 1 :])
            contents = {
                content_words(model.text(np.array(each))) for each in (found.tokens, tokens)
            }
            if len(contents) == 2 and other != END:
                rescored = _row(model.rescore(grid, [tokens]))
                difference = best.search_log_probs.sum() - rescored.search_log_probs.sum()
                built = model.build_caption(rescored, grid[0], found.caption.timing_ms)
                state = replace(found, caption=built, tokens=tokens)
                yield float(difference / len(tokens)), image, state


def _row(captions: BeamCaption) -> BeamCaption:
    return BeamCaption(*(part[0] for part in captions))


def noisy(image: Frame, by: float) -> Frame:
    noise = np.random.default_rng(0).normal(0, by, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_a_first_frame_is_captioned_like_a_single_image(model: LstmCaptionModel) -> None:
    for image in FRAMES:
        result = caption(model, image)
        alone = model.caption(image)
        assert result.caption == replace(alone, timing_ms=result.caption.timing_ms)
        assert not result.caption.kept


def test_on_a_still_scene_the_caption_is_kept_without_a_search(
    model: LstmCaptionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = caption(model, FRAMES[0])
    monkeypatch.delattr(LstmCaptionModel, "search")
    second = caption(model, noisy(FRAMES[0], 3), first.state)

    assert second.caption.kept
    assert second.state is first.state
    assert second.caption == replace(first.caption, kept=True, timing_ms=second.caption.timing_ms)


def test_a_refresh_searches_on_a_still_scene(model: LstmCaptionModel) -> None:
    first = caption(model, FRAMES[0])
    second = refresh(model, FRAMES[0], first.state)

    assert not second.caption.kept
    assert second.caption.text == first.caption.text


def test_another_scene_is_captioned_like_a_single_image(model: LstmCaptionModel) -> None:
    for before, now in pairwise(FRAMES):
        result = caption(model, now, caption(model, before).state)
        assert result.caption.text == model.caption(now).text
        assert not result.caption.kept


def test_a_caption_that_is_hardly_more_probable_does_not_replace(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    image, state = rival
    result = refresh(model, image, state)

    assert result.caption.text == state.caption.text
    assert not result.caption.kept
    assert result.state.tokens == state.tokens


def test_a_caption_that_stays_has_the_probabilities_of_the_new_frame(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    image, state = rival
    same = refresh(model, image, state).caption
    other = refresh(model, noisy(image, 4), state).caption

    probs = [[word.prob for word in each.words] for each in (state.caption, same, other)]
    assert same.text == other.text == state.caption.text
    assert probs[1] == pytest.approx(probs[0], abs=2e-3)
    assert probs[2] != pytest.approx(probs[0], abs=2e-3)


def test_a_wrong_caption_is_replaced_even_on_a_still_scene(model: LstmCaptionModel) -> None:
    fitting, wrong = (caption(model, image).state for image in FRAMES[:2])
    state = replace(fitting, caption=wrong.caption, tokens=wrong.tokens)
    result = refresh(model, FRAMES[0], state)

    assert result.caption.text == fitting.caption.text


def test_slow_changes_add_up_from_the_frame_of_the_first_caption(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    image, state = rival
    far = caption(model, image[::-1, ::-1] // 2).state
    # Near the last frame, far from the one for which the caption was first found.
    drifted = replace(state, origin=far.features)
    result = refresh(model, image, drifted)

    assert result.caption.text == model.caption(image).text


def test_only_a_search_that_finds_the_same_content_moves_the_origin(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    image, stays = rival
    found = caption(model, image).state
    now = noisy(image, 1)

    for state, origin_moves in ((stays, False), (found, True)):
        after = refresh(model, now, state).state
        assert after.tokens == state.tokens
        assert not np.array_equal(after.features, state.features)
        expected = after.features if origin_moves else state.origin
        assert np.array_equal(after.origin, expected)


def test_streams_that_are_captioned_together_are_independent(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    first, second, third, _, other = FRAMES
    wrong = replace(caption(model, first).state, tokens=caption(model, other).state.tokens)
    requests = [
        FrameRequest(noisy(first, 3), caption(model, first).state),
        FrameRequest(second),
        FrameRequest(rival[0], rival[1], refresh=True),
        FrameRequest(first, wrong, refresh=True),
        FrameRequest(third, caption(model, first).state),
    ]
    together = caption_frames(model, requests)

    for request, result in zip(requests, together, strict=True):
        alone = caption_frames(model, [request])[0]
        assert result.caption.text == alone.caption.text
        assert result.caption.kept == alone.caption.kept
        assert result.state.tokens == alone.state.tokens
        np.testing.assert_allclose(result.state.features, alone.state.features, atol=1e-2)
    assert [result.caption.kept for result in together] == [True, False, False, False, False]


def test_maps_are_of_the_words_found_in_the_frame(model: LstmCaptionModel) -> None:
    for image in FRAMES[:2]:
        result = caption(model, image)
        assert result.state.caption.maps is result.caption.maps
        assert result.caption.timing_ms.maps > 0
        assert_own_maps(model, image, result)


def test_no_maps_are_computed_unless_requested(model: LstmCaptionModel) -> None:
    result = caption_frames(model, [FrameRequest(FRAMES[0], maps=False)])[0]

    assert result.caption.maps is None
    assert result.caption.timing_ms.maps == 0


@pytest.mark.parametrize("wanted", [True, False])
def test_a_kept_caption_keeps_its_maps(model: LstmCaptionModel, wanted: bool) -> None:
    first = caption(model, FRAMES[0])
    request = FrameRequest(noisy(FRAMES[0], 3), first.state, maps=wanted)
    second = caption_frames(model, [request])[0]

    assert second.caption.kept
    assert second.caption.maps is first.caption.maps
    assert second.caption.timing_ms.maps == 0


def test_an_explanation_of_the_frame_does_not_encode_it_again(
    model: LstmCaptionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = caption(model, FRAMES[3]).state
    grid = model.encode([FRAMES[3]])[0]
    monkeypatch.delattr(LstmCaptionModel, "encode_pixels")

    np.testing.assert_array_equal(LstmCaptionedImage(model, FRAMES[3], state.tokens).grid, grid)


def test_a_kept_caption_without_maps_gets_them_on_request(model: LstmCaptionModel) -> None:
    first = caption_frames(model, [FrameRequest(FRAMES[0], maps=False)])[0]
    second = caption(model, FRAMES[0], first.state)

    assert second.caption.kept
    assert not second.state.caption.kept
    assert second.state.caption.maps is second.caption.maps
    assert_own_maps(model, FRAMES[0], second)


def test_a_caption_that_stays_is_explained_on_the_new_frame(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    image, state = rival
    result = refresh(model, image, state)

    assert result.state.tokens == state.tokens
    assert state.caption.maps is None
    assert_own_maps(model, image, result)


def test_each_stream_gets_its_own_maps(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    unexplained = caption_frames(model, [FrameRequest(FRAMES[0], maps=False)])[0].state
    requests = [
        FrameRequest(FRAMES[0], unexplained),
        FrameRequest(FRAMES[1], maps=False),
        FrameRequest(rival[0], rival[1], refresh=True),
        FrameRequest(FRAMES[2]),
    ]
    kept, without, stays, found = caption_frames(model, requests)

    assert without.caption.maps is None
    for request, result in ((requests[0], kept), (requests[2], stays), (requests[3], found)):
        assert_own_maps(model, request.image, result)


def test_a_fallback_has_the_maps_of_its_own_words(folder: Path) -> None:
    words = WordCalibration((0.0,) * len(WORD_FEATURES), 0.0, {"stand": -9.0, "sit": -9.0})
    weights = (0.0,) * len(CONFIDENCE_FEATURES)
    confidence = ConfidenceCalibration(1.0, words, weights, -9.0, 0.5, word_threshold=0.1)
    write_card(folder, replace(read_card(folder), confidence=confidence))
    unsure = LstmCaptionModel(folder)
    result = [caption(unsure, image) for image in photographs(unsure.image_size)]

    assert all(each.caption.fallback for each in result)
    shortened = [each for each in result if each.caption.words]
    assert shortened
    for each in shortened:
        whole = len(each.state.tokens)
        assert 0 < len(each.caption.words) < whole
    for each, image in zip(result, photographs(unsure.image_size), strict=True):
        assert_own_maps(unsure, image, each)


def test_a_blank_frame_has_no_caption_and_the_next_one_is_a_new_scene(
    model: LstmCaptionModel,
) -> None:
    black = np.zeros_like(FRAMES[0])
    shown = caption(model, FRAMES[0])

    requests = [FrameRequest(black, shown.state), FrameRequest(FRAMES[1]), FrameRequest(black)]
    covered, other, first = caption_frames(model, requests)

    assert other.caption.text == caption(model, FRAMES[1]).caption.text
    for blank in (covered.caption, first.caption):
        assert (blank.text, blank.fallback, blank.guess) == ("", "blank", "")
        assert (blank.confidence, blank.words, blank.tags, blank.kept) == (0.0, (), (), False)
        assert blank.maps and not blank.maps.words
    (still,) = caption_frames(model, [FrameRequest(black, covered.state)])
    assert still.caption.kept and still.caption.fallback == "blank"
    state = StreamState.from_json(covered.state.to_json())
    (back,) = caption_frames(model, [FrameRequest(FRAMES[0], state)])
    assert not back.caption.kept
    assert (back.caption.text, back.state.tokens) == (shown.caption.text, shown.state.tokens)


def assert_own_maps(model: LstmCaptionModel, image: Frame, result: FrameResult) -> None:
    """Assert that the maps are those of the caption's words in this image, computed one by one."""
    words, maps = result.caption.words, result.caption.maps
    subject = LstmCaptionedImage(model, image, result.state.tokens)
    assert maps
    assert len(maps.words) == len(words)
    for index, given in enumerate([*maps.words, maps.caption]):
        target = Target("word", index) if index < len(words) else Target("caption")
        alone = finish(METHODS[maps.method].explain(subject, target)).values
        np.testing.assert_allclose(given.values, alone, atol=1e-3 * alone.max())


def test_an_invalid_frame_or_beam_width_is_refused(model: LstmCaptionModel) -> None:
    with pytest.raises(ValueError, match="uint8"):
        caption_frames(model, [FrameRequest(FRAMES[0][..., 0])])
    with pytest.raises(ValueError, match="beam width 9"):
        caption_frames(model, [FrameRequest(FRAMES[0])], beam_width=9)


@pytest.fixture(scope="module")
def chooser(model: LstmCaptionModel, tmp_path_factory: pytest.TempPathFactory) -> LstmCaptionModel:
    """The shipped captioner with a consensus that prefers the second caption of each beam."""
    folder = Path(shutil.copytree(SHIPPED_FOLDER, tmp_path_factory.mktemp("choosing") / "lite2"))
    grids = model.encode(FRAMES)
    found = model.search(grids)
    captions = [[row[row != PAD].tolist()] for row in found.beam[:, 1]]
    config = ConsensusConfig(neighbours=1, weight=100.0)
    consensus = Consensus.fit(
        grids.mean(axis=(1, 2)), captions, config, dimensions=len(FRAMES), minimum_images=1
    )
    save_consensus(folder, consensus, ConsensusCard(len(FRAMES), config, (), 0.0))
    return LstmCaptionModel(folder)


def test_the_choice_by_consensus_stays_in_a_stream(
    model: LstmCaptionModel, chooser: LstmCaptionModel
) -> None:
    for image in FRAMES:
        plain, first = caption(model, image), caption(chooser, image)
        assert first.caption.instead_of == (plain.caption.guess or plain.caption.text)
        # The caption that is more probable by itself does not replace it, ...
        again = refresh(chooser, noisy(image, 3), first.state)
        assert again.state.tokens == first.state.tokens
        assert again.caption.runner_up
        # ... and is replaced by it, although it is less probable.
        changed = refresh(chooser, image, plain.state)
        assert changed.state.tokens == first.state.tokens
        assert changed.caption.instead_of == first.caption.instead_of


def test_a_caption_that_stays_keeps_what_it_was_chosen_over(
    model: LstmCaptionModel, rival: tuple[Frame, StreamState]
) -> None:
    image, state = rival
    chosen = replace(state.caption, runner_up="A dog runs", instead_of="A dog sits")

    result = refresh(model, image, replace(state, caption=chosen))

    assert result.state.tokens == state.tokens
    assert (result.caption.runner_up, result.caption.instead_of) == ("A dog runs", "A dog sits")
