from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from inference.captioning.caption import Caption
from inference.captioning.model import CaptionModel
from models.captioner.captioner import Captioner
from models.checkpoint import load
from models.hardening.hardened_decoder import HardenedCard, copy_decoder, save_hardened
from models.language.vocabulary import END, sentence
from tests.inference.conftest import SIDE, photographs
from tests.models.oracle.numpy_decoder import NumpyDecoder
from tests.models.oracle.plain_beam_search import plain_beam_search


@pytest.fixture(scope="module")
def model(saved: Path) -> CaptionModel:
    return CaptionModel(saved)


def said(captions: Sequence[Caption]) -> list[str]:
    return [" ".join(word.text for word in caption.words) for caption in captions]


def test_a_caption_is_what_a_plain_search_finds_in_tensorflows_grid(
    captioner: Captioner, model: CaptionModel
) -> None:
    for picture in photographs(SIDE)[:3]:
        grid = np.asarray(model.captioner.encoder(picture[None].astype(np.float32)))[0]
        plain = plain_beam_search(NumpyDecoder(model.captioner.decoder, grid), model.card.beam)[0]
        names = [captioner.vocabulary.words[token] for token in plain.tokens if token != END]

        caption = model.caption(picture)

        assert caption.text == sentence(names)
        np.testing.assert_allclose(
            [word.prob for word in caption.words], np.exp(plain.log_probs)[: len(names)], atol=1e-3
        )


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("beam_width", [None, 2])
def test_pictures_together_are_captioned_as_alone(
    model: CaptionModel, number: int, beam_width: int | None
) -> None:
    pictures = photographs(SIDE)[:number]
    alone = [model.caption(picture, beam_width) for picture in pictures]

    together = model.captions(list(pictures), beam_width)

    assert said(together) == said(alone)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(
            [word.prob for word in one.words], [word.prob for word in other.words], atol=2e-4
        )


def test_those_pictures_say_different_things(model: CaptionModel) -> None:
    assert len(set(said(model.captions(list(photographs(SIDE)[:4]))))) > 1


def test_pictures_may_be_of_any_size(model: CaptionModel) -> None:
    tall, wide = np.zeros((200, 30, 3), np.uint8), np.full((7, 90, 3), 200, np.uint8)

    assert len(model.captions([tall, wide])) == 2


def test_grids_can_be_computed_and_searched_apart(model: CaptionModel) -> None:
    pictures = list(photographs(SIDE)[:2])

    grids = model.encode(pictures)
    found = model.search(grids)

    assert grids.shape == (2, *model.captioner.encoder.output_shape[1:])
    words = [model.captioner.vocabulary.decode(tokens) for tokens in found.tokens]
    assert [sentence(text) for text in words] == [c.text for c in model.captions(pictures)]
    assert found.scores.shape == (2, model.card.beam.width)
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize(
    ("image", "beam_width", "told"),
    [
        (np.zeros((9, 9), np.uint8), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((9, 9, 4), np.uint8), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((0, 9, 3), np.uint8), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((9, 9, 3), np.float32), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((9, 9, 3), np.uint8), 0, "beam width 0"),
        (np.zeros((9, 9, 3), np.uint8), 6, "beam width 6"),
    ],
)
def test_what_is_no_picture_or_no_width_is_refused(
    model: CaptionModel,
    image: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]",
    beam_width: int | None,
    told: str,
) -> None:
    fine = photographs(SIDE)[0]

    with pytest.raises(ValueError, match=told):
        model.captions([fine, image], beam_width)


def test_a_hardened_decoder_beside_the_captioner_is_ready_too(
    folder: Path, model: CaptionModel
) -> None:
    captioner = load(folder)[0]
    hardened = copy_decoder(captioner)
    hardened.word_bias.assign_add(np.eye(len(captioner.vocabulary))[4] * 9)
    save_hardened(folder, captioner, hardened, HardenedCard("none", 0, 1, 0.0, 0.0, 0.0, ()))
    pictures = photographs(SIDE)[:2]

    both = CaptionModel(folder)

    assert model.hardened is None and both.hardened
    grids = both.encode(list(pictures))
    np.testing.assert_array_equal(both.search(grids).tokens, model.search(grids).tokens)
    found = both.hardened.search(grids)
    assert (found.tokens == 4).any(axis=1).all()
    told = both.hardened.retell(grids, [[token for token in row if token] for row in found.tokens])
    np.testing.assert_allclose(told.log_probs, found.log_probs, atol=1e-4)
