"""Captions and explanations for programs, beside those of the worker process."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import Captioner, ImageCaption
from inference.captioners.lstm import LstmCaptionModel
from inference.captioning.stream_state import FrameRequest
from inference.engine import Engine
from inference.explanations import Target
from inference.explanations.map import downsample
from inference.progress import Progress
from models.catalogue import CaptionerError
from models.checkpoint import CheckpointError
from tests.inference.conftest import TAGGED_SIDE, photographs
from tests.support.captioners.subwords import SubwordCaptionModel

IMAGES = photographs(TAGGED_SIDE)


@pytest.fixture(scope="module")
def small(tagged: Path) -> Captioner:
    """A small captioner with random weights and tags."""
    return Captioner.load(tagged)


@pytest.fixture(scope="module")
def captioned(small: Captioner) -> ImageCaption:
    found: ImageCaption = small.caption(IMAGES[0])
    return found


def test_captions_an_image_and_a_list_as_the_captioner_alone_does(
    small: Captioner, model: LstmCaptionModel
) -> None:
    expected = model.captions(list(IMAGES))

    found = small.caption(list(IMAGES))

    assert [str(each) for each in found] == [each.text for each in expected]
    assert [each.words for each in found] == [each.words for each in expected]
    assert [each.tags for each in found] == [each.tags for each in expected]
    assert len({each.text for each in found}) > 1
    assert small.caption(IMAGES[4]).text == found[4].text
    assert small.caption(tuple(IMAGES[:1]))[0].text == found[0].text
    assert small.caption([]) == []


def test_files_pillow_images_and_arrays_have_the_same_caption(
    small: Captioner, tmp_path: Path
) -> None:
    image = Image.fromarray(IMAGES[1])
    image.save(tmp_path / "image.png")

    given = [IMAGES[1], image, tmp_path / "image.png", str(tmp_path / "image.png")]
    found = small.caption(given)

    assert len({each.text for each in found}) == 1
    for each in found:
        assert np.array_equal(each.image, IMAGES[1])


def test_a_caption_keeps_what_was_captioned(small: Captioner) -> None:
    image = IMAGES[2].copy()
    captioned = small.caption(image)
    before = np.asarray(small.explain(captioned, 0))
    image[:] = 0

    assert np.array_equal(captioned.image, IMAGES[2])
    assert np.array_equal(small.explain(captioned, 0), before)


async def test_maps_are_those_of_the_worker_process(
    small: Captioner, captioned: ImageCaption, tagged: Path
) -> None:
    tag = small.explain(captioned, tag="dog", method="gradcam")
    contrast = captioned.words[1].alternatives[0].text
    maps = {
        Target("word", 2): small.explain(captioned, 2, method="readcam"),
        Target("caption"): small.explain(captioned, method="saliency"),
        Target("contrast", 1, contrast): small.explain(
            captioned, 1, instead_of=contrast.upper(), method="gradcam"
        ),
        Target("tag", text="dog"): tag,
    }
    engine = Engine(tagged, explains=False)
    engine.start()
    try:
        await engine.wait_loaded()
        result = await engine.caption_frame(FrameRequest(IMAGES[0]))
        assert result.state.tokens == captioned.tokens
        assert result.caption.maps
        live = small.explain(captioned, 0)
        pairs = [(live, result.caption.maps.words[0].values)]
        for target, found in maps.items():
            method = found.method.name
            answer = await engine.explain(IMAGES[0], captioned.tokens, method, target)
            assert found.target == target
            pairs.append((found, answer.map.values))
    finally:
        await engine.stop()

    for found, expected in pairs:
        peak = found.values.max()
        assert peak > 0
        # Sent in 255 levels, and large ones in fewer cells.
        assert np.abs(downsample(found.values) - expected).max() <= 0.6 * peak / 255


def test_a_map_says_what_it_explains(small: Captioner, captioned: ImageCaption) -> None:
    text = captioned.words[2].text
    first = [word.text for word in captioned.words].index(text)

    word = small.explain(captioned, text.capitalize(), method="GradCAM")
    whole = small.explain(IMAGES[0])

    assert word.target == Target("word", first)
    assert (word.title, word.method.name, word.method.unit) == (text, "gradcam", "logit")
    assert (word.caption, word.captioner) == (captioned.text, "small")
    assert (whole.title, whole.method.name) == ("whole caption", small.model.live_method)
    assert next(iter(small.methods)) == small.model.live_method


@pytest.mark.parametrize(
    "name", ["IntegratedGradients", "integrated_gradients", "HiResCAM", "SmoothGrad", "Rise"]
)
def test_methods_have_the_names_of_other_libraries(small: Captioner, name: str) -> None:
    with pytest.raises(ValueError, match=r"there is no word 'unheard'"):
        small.explain(IMAGES[0], "unheard", method=name)
    with pytest.raises(ValueError, match="there is no method"):
        small.explain(IMAGES[0], "unheard", method=f"{name}s")


def test_a_slow_method_reports_its_progress(small: Captioner, captioned: ImageCaption) -> None:
    steps: list[Progress] = []

    small.explain(captioned, 0, method="rise", progress=steps.append)

    shares = [step.done for step in steps]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3


def test_threads_share_a_captioner(small: Captioner) -> None:
    tasks = [(image, index) for index in range(2) for image in IMAGES[:4]]
    expected = [np.asarray(small.explain(image, index)) for image, index in tasks]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda task: np.asarray(small.explain(*task)), tasks * 3))

    for one, other in zip(found, expected * 3, strict=True):
        assert np.array_equal(one, other)


def test_what_cannot_be_explained_is_named(small: Captioner, captioned: ImageCaption) -> None:
    words = ", ".join(f"{each.text} ({index})" for index, each in enumerate(captioned.words))
    other = Captioner(SubwordCaptionModel()).caption(np.full((30, 40, 3), IMAGES[0][:30, :40]))

    for word in ("unheard", len(captioned.words), -1):
        with pytest.raises(ValueError) as refusal:
            small.explain(captioned, word)
        assert str(refusal.value).endswith(f"its words are {words}")
    with pytest.raises(ValueError, match=r"no method 'lime'; the methods are .*rise"):
        small.explain(captioned, method="lime")
    with pytest.raises(ValueError, match="cannot explain a tag"):
        small.explain(captioned, tag="dog", method="attention")
    with pytest.raises(ValueError, match="a tag is explained in place of a word"):
        small.explain(captioned, 0, tag="dog")
    with pytest.raises(ValueError, match="name the word of the caption"):
        small.explain(captioned, instead_of="dog")
    with pytest.raises(ValueError, match="of another captioner"):
        small.explain(other)
    with pytest.raises(ValueError, match="the caption has no words"):
        small.explain(np.full((40, 40, 3), 128, np.uint8), "dog")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("endpoint:gpu", CaptionerError, "runs on another server"),
        ("hf:nobody/nothing", CaptionerError, "captioner fetch hf:nobody/nothing"),
        ("shiped", CaptionerError, "is no captioner and no folder"),
        (Path("shipped"), CaptionerError, "there is no folder shipped"),
        ("{damaged}", CheckpointError, "names the architecture None"),
    ],
)
def test_a_captioner_that_cannot_be_loaded_is_named(
    folder: Path, given: str | Path, error: type[Exception], message: str
) -> None:
    (folder / "config.json").write_text("{}")
    if isinstance(given, str):
        given = given.format(damaged=folder)

    with pytest.raises(error, match=message):
        Captioner.load(given)
