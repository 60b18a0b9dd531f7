from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.caption import Caption, Tag
from inference.captioning.grid_cache import GridCache
from inference.explanations.methods import available_methods
from models.calibration.tags import TagCalibration, Tagger
from models.captioner.beam_search import BeamCaption
from models.captioner.captioner import Captioner
from models.checkpoint import load, save
from models.hardening import HardenedCard, Student, save_hardened
from models.language import END, sentence
from models.measured import write_verified
from tests.inference.conftest import (
    CARD,
    CHOICE,
    SIDE,
    TRAINING_CAPTIONS,
    photographs,
    training_features,
)
from tests.support.oracle.numpy_decoder import NumpyDecoder
from tests.support.oracle.plain_beam_search import plain_beam_search
from tests.support.oracle.plain_consensus import plain_agreement

TAGS = TagCalibration(slope=1.0, offset=0.0, penalties={}, threshold=0.001)


@pytest.fixture(scope="module")
def model(saved: Path) -> LstmCaptionModel:
    return LstmCaptionModel(saved)


@pytest.fixture(scope="module")
def chooser(choosing: Path) -> LstmCaptionModel:
    return LstmCaptionModel(choosing)


def texts(captions: Sequence[Caption]) -> list[str]:
    return [" ".join(word.text for word in caption.words) for caption in captions]


def probabilities(caption: Caption) -> list[float]:
    return [word.prob for word in caption.words if word.prob is not None]


def test_a_caption_is_what_a_plain_beam_search_finds_in_tensorflows_grid(
    captioner: Captioner, model: LstmCaptionModel
) -> None:
    for image in photographs(SIDE)[:3]:
        grid = np.asarray(model.captioner.encoder(image[None].astype(np.float32)))[0]
        plain = plain_beam_search(NumpyDecoder(model.captioner.decoder, grid), model.card.beam)[0]
        names = [captioner.vocabulary.words[token] for token in plain.tokens if token != END]

        caption = model.caption(image)

        assert caption.text == sentence(names)
        np.testing.assert_allclose(
            probabilities(caption), np.exp(plain.log_probs)[: len(names)], atol=1e-3
        )


def test_a_consensus_chooses_among_the_captions_of_a_plain_beam_search(
    model: LstmCaptionModel, chooser: LstmCaptionModel
) -> None:
    words, beam = model.captioner.vocabulary.words, model.card.beam
    changed = 0
    for image in photographs(SIDE):
        grid = np.asarray(model.captioner.encoder(image[None].astype(np.float32)))[0]
        found = plain_beam_search(NumpyDecoder(model.captioner.decoder, grid), beam)
        sums = [
            each.rank(beam.length_power)
            + CHOICE.weight
            * plain_agreement(
                training_features(),
                TRAINING_CAPTIONS,
                grid.mean(axis=(0, 1)),
                each.tokens,
                CHOICE.neighbours,
                CHOICE.sharpness,
            )
            for each in found
        ]
        texts = [sentence(words[token] for token in each.tokens if token != END) for each in found]
        best, second, _ = sorted(range(3), key=lambda index: -sums[index])

        caption, without = chooser.caption(image), model.caption(image)

        assert (caption.text, caption.runner_up) == (texts[best], texts[second])
        assert caption.instead_of == (texts[0] if best else "")
        assert (without.text, without.runner_up, without.instead_of) == (texts[0], texts[1], "")
        np.testing.assert_allclose(
            probabilities(caption),
            np.exp(found[best].log_probs)[: len(caption.words)],
            atol=1e-3,
        )
        changed += best != 0
    assert 0 < changed < 6


def test_a_beam_of_one_caption_leaves_nothing_to_choose(
    model: LstmCaptionModel, chooser: LstmCaptionModel
) -> None:
    images = list(photographs(SIDE))

    captions = chooser.captions(images, 1)

    assert (chooser.consensus, model.consensus) == (True, False)
    assert texts(captions) == texts(model.captions(images, 1))
    assert not any(each.runner_up or each.instead_of for each in captions)


def test_the_most_faithful_map_that_was_measured_is_the_live_one(
    model: LstmCaptionModel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert model.live_method == "readcam"
    write_verified(folder, ["attention", "hirescam", "readcam"], {})

    measured = LstmCaptionModel(folder)

    assert measured.card.verified == ("attention", "hirescam", "readcam")
    assert next(iter(available_methods(measured))) == measured.live_method == "hirescam"
    grids = measured.encode([photographs(SIDE)[0]])
    found = measured.search(grids)
    (maps,) = measured.live_maps(grids, [BeamCaption(*(part[0] for part in found))])
    assert maps.method == "hirescam"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("beam_width", [None, 2])
def test_images_captioned_together_get_the_same_captions_as_alone(
    model: LstmCaptionModel, number: int, beam_width: int | None
) -> None:
    images = photographs(SIDE)[:number]
    alone = [model.caption(image, beam_width) for image in images]

    together = model.captions(list(images), beam_width)

    assert texts(together) == texts(alone)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(probabilities(one), probabilities(other), atol=2e-4)


def test_the_images_of_this_test_have_different_captions(model: LstmCaptionModel) -> None:
    assert len(set(texts(model.captions(list(photographs(SIDE)[:4]))))) > 1


def test_images_may_be_of_any_size(model: LstmCaptionModel) -> None:
    tall, wide = np.zeros((200, 30, 3), np.uint8), np.full((7, 90, 3), 200, np.uint8)

    assert len(model.captions([tall, wide])) == 2


def test_encoding_and_search_can_be_called_separately(model: LstmCaptionModel) -> None:
    images = list(photographs(SIDE)[:2])

    grids = model.encode(images)
    found = model.search(grids)

    assert grids.shape == (2, *model.captioner.encoder.output_shape[1:])
    words = [model.captioner.vocabulary.decode(tokens) for tokens in found.tokens]
    assert [sentence(text) for text in words] == [c.text for c in model.captions(images)]
    assert found.scores.shape == (2, model.card.beam.width)
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize(
    ("image", "beam_width", "message"),
    [
        (np.zeros((9, 9), np.uint8), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((9, 9, 4), np.uint8), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((0, 9, 3), np.uint8), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((9, 9, 3), np.float32), None, r"uint8 \[H, W, 3\]"),
        (np.zeros((9, 9, 3), np.uint8), 0, "beam width 0"),
        (np.zeros((9, 9, 3), np.uint8), 6, "beam width 6"),
    ],
)
def test_an_invalid_image_or_beam_width_is_refused(
    model: LstmCaptionModel,
    image: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]",
    beam_width: int | None,
    message: str,
) -> None:
    valid = photographs(SIDE)[0]

    with pytest.raises(ValueError, match=message):
        model.captions([valid, image], beam_width)


def test_a_hardened_decoder_in_the_checkpoint_is_loaded_too(
    folder: Path, model: LstmCaptionModel
) -> None:
    captioner = load(folder)[0]
    students = Student(captioner, 0), Student(captioner, 0)
    students[0].decoder.word_bias.assign_add(np.eye(len(captioner.vocabulary))[4] * 9)
    card = HardenedCard("none", 0, 1, 1, 0, 1, 1, {}, {}, {}, (), (), ())
    save_hardened(folder, captioner, *students, card)
    images = photographs(SIDE)[:2]

    both = LstmCaptionModel(folder)

    assert model.hardened is None and both.hardened
    grids = both.encode(list(images))
    np.testing.assert_array_equal(both.search(grids).tokens, model.search(grids).tokens)
    found = both.hardened.hardened.search(grids)
    assert (found.tokens == 4).any(axis=1).all()
    control = both.hardened.control.search(grids)
    np.testing.assert_array_equal(control.tokens, model.search(grids).tokens)
    rescored = both.hardened.hardened.rescore(
        grids, [[token for token in row if token] for row in found.tokens]
    )
    np.testing.assert_allclose(rescored.log_probs, found.log_probs, atol=1e-4)


@pytest.fixture(scope="module")
def folder_with_tags(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a captioner with a random classifier."""
    made = Captioner(replace(captioner.config, classes=1000), captioner.vocabulary)
    random = np.random.default_rng(2)
    classifier = [random.normal(0, 0.05, (1280, 1000)), random.normal(0, 1, 1000)]
    made.set_weights([*captioner.get_weights(), *classifier])
    folder = tmp_path_factory.mktemp("captioner") / "tags"
    save(folder, made, replace(CARD, tags=TAGS))
    return folder


def test_captions_have_the_tags_of_their_own_images(folder_with_tags: Path) -> None:
    model = LstmCaptionModel(folder_with_tags)
    tagger = Tagger(model.captioner.classifier, TAGS)
    images = photographs(SIDE)[:2]
    grids = np.asarray(model.captioner.encoder(images.astype(np.float32)))

    captions = model.captions(list(images))

    assert model.has_tags
    assert captions[0].tags != captions[1].tags
    for caption, expected in zip(captions, tagger.tags(grids), strict=True):
        assert [tag.text for tag in caption.tags] == [name for name, _ in expected]
        assert [tag.prob for tag in caption.tags] == pytest.approx(
            [prob for _, prob in expected], rel=0.02, abs=1e-3
        )
        assert 0 < len(caption.tags) <= 5
        assert all(isinstance(tag, Tag) for tag in caption.tags)


def test_a_captioner_without_a_classifier_has_no_tags(saved: Path) -> None:
    model = LstmCaptionModel(saved)

    assert not model.has_tags
    assert model.caption(photographs(SIDE)[0]).tags == ()


def test_a_captioner_without_calibrated_tags_has_no_tags(
    captioner: Captioner, tmp_path: Path
) -> None:
    made = Captioner(replace(captioner.config, classes=1000), captioner.vocabulary)
    save(tmp_path, made, CARD)

    model = LstmCaptionModel(tmp_path)

    assert not model.has_tags
    assert model.caption(photographs(SIDE)[0]).tags == ()


def plain(level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((4, 6, 3), level, np.uint8)


def test_the_grid_cache_keeps_the_newest_images() -> None:
    cache = GridCache()
    for level in range(20):
        cache.put(plain(level), np.full((1, 1, 1), level, np.float32))
        cache.put(plain(0), np.zeros((1, 1, 1), np.float32))

    kept = [level for level in range(20) if cache.get(plain(level)) is not None]
    assert kept == [0, *range(13, 20)]
    for level in kept:
        grid = cache.get(plain(level))
        assert grid is not None
        assert grid.item() == level


def test_the_grid_cache_finds_only_the_same_pixels_and_shape() -> None:
    cache = GridCache()
    cache.put(plain(3), np.zeros((1, 1, 1), np.float32))

    other = plain(3).copy()
    other[3, 5, 2] += 1
    assert cache.get(other) is None
    assert cache.get(plain(3).reshape(6, 4, 3)) is None
    assert cache.get(plain(3).copy()) is not None
