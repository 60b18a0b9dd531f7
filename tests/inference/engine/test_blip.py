"""A tiny BLIP captioner in the real worker: captions, live maps, explanations and analyses."""

import json
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import pytest_asyncio

from inference.captioning import FrameRequest
from inference.engine.engine import Engine
from inference.engine.service import EngineUnavailable
from inference.explanations import Target
from inference.pool import CaptionServer, PoolCaptioner
from inference.progress import Progress
from models.preprocessing import resize_to_square
from stream.captioning.stream_captioner import StreamCaptioner, captioner_image
from stream.video import Frame
from tests.support.blip import folder, make_images, make_photo, stored

NAME = "plain"
IMAGES = make_images(32)
CAPTION = "the dog play ##ing with skate ##board"


@pytest_asyncio.fixture(scope="module")
async def blip() -> AsyncIterator[Engine]:
    """An engine with the captioner, loaded."""
    engine = Engine(folder(NAME), explains=False)
    engine.start()
    await engine.wait_loaded()
    yield engine
    await engine.stop()


@pytest.fixture(scope="module")
def tokens() -> tuple[int, ...]:
    """The tokens of a caption of five words, with its end token."""
    pieces = (folder(NAME) / "vocab.txt").read_text().split("\n")
    return tuple(map(pieces.index, [*CAPTION.split(), "[SEP]"]))


async def test_the_captioner_says_what_it_can_do(blip: Engine) -> None:
    info = blip.info
    assert info
    assert info.name == NAME
    assert not info.calibrated
    assert not info.tags
    assert info.max_batch == 1
    assert info.resizing.side == 32
    assert info.live_method == "crossattention"
    assert info.analyses == ("adversarial", "ace")
    assert [method.name for method in info.methods] == [
        "crossattention",
        "gradcam",
        "hirescam",
        "gradcam-total",
        "saliency",
        "smoothgrad",
        "integrated-gradients",
        "occlusion",
        "rise",
        "attention",
    ]


async def test_each_frame_of_a_stream_is_captioned_with_a_map_of_every_word(blip: Engine) -> None:
    state, texts, maps = None, [], 0
    for image in (*IMAGES[:4], make_photo()):
        caption, state = await blip.caption_frame(FrameRequest(image, state, refresh=True))
        texts.append(caption.text)
        assert caption.confidence is None
        assert caption.fallback is None
        assert caption.maps
        assert caption.maps.method == "crossattention"
        assert len(caption.maps.words) == len(caption.words)
        assert all(each.values.shape == (4, 4) for each in caption.maps.words)
        maps += sum(each.values.max() > 0 for each in caption.maps.words)
    assert maps > 4
    assert len(set(texts)) > 1


async def test_a_live_frame_is_prepared_as_published_and_captioned_as_the_same_image_of_a_file(
    blip: Engine,
) -> None:
    assert blip.info
    frame = av.VideoFrame.from_ndarray(make_photo(), format="rgb24")
    preparation = json.loads((folder(NAME) / "preprocessor_config.json").read_text())

    pixels = captioner_image(frame, blip.info)

    normalized = (pixels / 255 - preparation["image_mean"]) / preparation["image_std"]
    np.testing.assert_allclose(normalized, stored(NAME)["photo"], atol=1e-6)
    # Of its caption, the words can be seen to depend on how it is resized.
    image = np.ascontiguousarray(make_images(75)[4, :, :60])
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    with ThreadPoolExecutor(1) as executor:
        live = await StreamCaptioner(blip, executor).caption(Frame(frame), 0.0, None, maps=True)
    of_file, otherwise_resized = [
        (await blip.caption_frame(FrameRequest(each, maps=True))).caption
        for each in (image, resize_to_square(image, 32))
    ]
    assert live.caption.words == of_file.words != otherwise_resized.words
    assert live.caption.maps and of_file.maps
    for one, other in zip(live.caption.maps.words, of_file.maps.words, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


async def test_every_method_explains_a_word_of_several_tokens(
    blip: Engine, tokens: tuple[int, ...]
) -> None:
    assert blip.info
    shapes = {}
    for method in blip.info.methods:
        assert "tag" not in method.kinds
        found = await blip.explain(IMAGES[0], tokens, method.name, Target("word", 2))
        shapes[method.name] = found.map.values.shape
        assert found.map.values.max() > 0, method.name
    grid, pixels = (4, 4), (32, 32)
    assert {name for name, shape in shapes.items() if shape == grid} == {
        "crossattention",
        "gradcam",
        "hirescam",
        "gradcam-total",
        "attention",
    }
    assert [shapes[name] for name in ("saliency", "smoothgrad", "rise")] == [pixels] * 3


async def test_a_word_of_several_tokens_is_compared_with_another(
    blip: Engine, tokens: tuple[int, ...]
) -> None:
    maps = {}
    for other in ("player", "skating", "dog"):
        target = Target("contrast", 2, other)
        found = await blip.explain(IMAGES[0], tokens, "crossattention", target)
        maps[other] = found.map.values
        assert maps[other].max() > 0
    # One differs in its second token, the others in their first.
    assert not np.allclose(maps["player"], maps["skating"])
    assert not np.allclose(maps["dog"], maps["skating"])

    with pytest.raises(ValueError, match="choose another word"):
        await blip.explain(IMAGES[0], tokens, "saliency", Target("contrast", 2, "playing"))
    with pytest.raises(ValueError, match="not in the captioner's vocabulary"):
        await blip.explain(IMAGES[0], tokens, "saliency", Target("contrast", 2, "play\u2603"))


async def test_a_map_can_be_checked(blip: Engine) -> None:
    caption, state = await blip.caption_frame(FrameRequest(IMAGES[3]))
    check = await blip.check(IMAGES[3], state.tokens, "crossattention", 0)
    assert check.share == pytest.approx(3 / 16, abs=1e-3)
    assert check.prob == pytest.approx(caption.words[0].prob, abs=2e-4)
    assert check.blanked != check.prob


async def test_the_caption_is_attacked_and_the_report_returned(
    blip: Engine, tokens: tuple[int, ...]
) -> None:
    progress: list[Progress] = []
    params = {"steps": 1, "draws": 1, "segments": 2, "say": "surfboard"}
    found = await blip.analyse("adversarial", IMAGES[0], tokens, params, (), progress.append)

    assert set(found.files) == {"report.html", "report.json"}
    assert found.files["report.html"].lower().startswith(b"<!doctype html>")
    report = json.loads(found.files["report.json"])
    assert report["ace"] is None
    assert report["caption"]["text"] == "The dog playing with skateboard"
    words = [word["text"] for word in report["words"]]
    assert words == ["the", "dog", "playing", "with", "skateboard"]
    assert [word["text"] for word in report["adversarial"]["words"]] == words
    # As from the command line: the image as it is, and the word maps with the checks of objects.
    assert report["image"] == {"file": "", "width": 32, "height": 32}
    (method,) = report["methods"]
    assert method["name"] == report["checked_by"] == "crossattention"
    explained = [each["of"]["index"] for each in method["maps"] if each["of"]["kind"] == "word"]
    assert explained == list(range(len(words)))
    assert [word["text"] for word in report["words"] if word["check"]] == ["dog", "skateboard"]
    assert 2 <= len(found.summary) <= 4
    assert found.took_ms > 0
    assert [each.done for each in progress] == sorted(each.done for each in progress)
    assert len({each.doing for each in progress}) > 1


async def test_the_caption_is_taken_apart(blip: Engine, tokens: tuple[int, ...]) -> None:
    found = await blip.analyse("ace", IMAGES[0], tokens, {"rank": 3})
    report = json.loads(found.files["report.json"])
    assert len(report["ace"]["factors"]["components"]) == 3

    frames = [*IMAGES[:12]]
    found = await blip.analyse("ace", IMAGES[0], tokens, {"scope": "frames"}, frames)
    assert json.loads(found.files["report.json"])["ace"]


async def test_the_layer_of_the_decoder_is_checked_when_the_captioner_is_loaded() -> None:
    engine = Engine(folder(NAME), layer=2, max_failures=1)
    engine.start()
    try:
        with pytest.raises(EngineUnavailable, match="layers 0 to 1, but 2 is to be explained"):
            await engine.wait_loaded()
    finally:
        await engine.stop()


async def test_a_damaged_captioner_is_one_sentence_that_names_the_file(tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(folder(NAME), tmp_path / NAME))
    weights = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(weights[:-100])
    engine = Engine(damaged, max_failures=1)
    engine.start()
    try:
        with pytest.raises(EngineUnavailable) as caught:
            await engine.wait_loaded()
    finally:
        await engine.stop()
    message = str(caught.value)
    reason = "model.safetensors is truncated or not a safetensors file"
    assert message.startswith(f"The captioner cannot be loaded: {reason}")
    assert message.endswith("; download the whole model again.")
    # Viewers read it.
    assert str(tmp_path) not in message and "\n" not in message


async def test_a_pool_captions_and_explains_as_the_engine(
    blip: Engine, tokens: tuple[int, ...], tmp_path: Path
) -> None:
    server = CaptionServer(blip, replica="one")
    await server.listen_unix(tmp_path / "captions")
    pool = PoolCaptioner([f"unix:{tmp_path / 'captions'}"])
    pool.start()
    try:
        await pool.wait_loaded()
        assert pool.info == blip.info
        found, state = await pool.caption_frame(FrameRequest(IMAGES[1]))
        own, own_state = await blip.caption_frame(FrameRequest(IMAGES[1]))
        assert (found.text, found.words) == (own.text, own.words)
        assert state.tokens == own_state.tokens
        remote = await pool.explain(IMAGES[0], tokens, "gradcam", Target("word", 2))
        local = await blip.explain(IMAGES[0], tokens, "gradcam", Target("word", 2))
        np.testing.assert_array_equal(remote.map.values, local.map.values)
    finally:
        await pool.stop()
        await server.close()
