"""Captions and heat maps as arrays, files and HTML."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from inference import HeatMap, ImageCaption
from inference.captioning import Caption, Timing, Word
from inference.explanations import Map, MethodCard, Target
from inference.explanations.heatmap import COLORMAP, MAX_OPACITY
from tests.inference.conftest import photographs
from tests.support.html_tree import read

IMAGE = photographs(800)[0][:500]
VALUES = np.array([[0, 1, 2], [3, 8, 0]], np.float32)
CARD = MethodCard("gradcam", "Grad-CAM", "a paper", "a step", "logit", ("word",))
HEAT = HeatMap(VALUES, IMAGE, "A dog sits", Target("word", 1), "dog", CARD, "small")
CAPTION = Caption("A dog", 0.4, (), (), "shorter", "A dog sits", False, Timing(1, 2))
WORDS = tuple(Word(text, 0.5, ()) for text in ("a", "dog", "sits"))
CAPTIONED = ImageCaption(IMAGE, "A dog sits", WORDS, CAPTION, "small")
ATTACK = '<script>alert("&")</script>\0'


def test_numpy_takes_a_map_as_an_array() -> None:
    assert np.array_equal(np.asarray(HEAT), VALUES)
    assert np.asarray(HEAT, np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(HEAT), VALUES)
    assert np.mean(HEAT) == VALUES.mean()


def test_a_map_at_the_size_of_the_image_has_its_peak_where_the_cell_lies() -> None:
    resized = HEAT.resized()
    row, column = np.unravel_index(resized.argmax(), resized.shape)

    assert resized.shape == (500, 800)
    assert resized.dtype == np.float32
    assert (resized.min(), resized.max()) == (0, 1)
    assert (int(row) // 250, int(column) // 267) == (1, 1)
    expected = np.clip(cv2.resize(VALUES / 8, (800, 500), interpolation=cv2.INTER_CUBIC), 0, 1)
    assert np.abs(resized - expected).max() <= 0.5 / 255 + 1e-6


def test_the_overlay_has_the_last_colour_at_the_peak_and_the_image_where_nothing_mattered() -> None:
    overlay, resized = HEAT.overlay(), HEAT.resized()

    peak, nothing = resized == 1, resized == 0
    mixed = IMAGE[peak] * (1 - MAX_OPACITY) + COLORMAP[-1] * MAX_OPACITY
    assert np.abs(overlay[peak] - mixed).max() <= 1
    assert np.array_equal(overlay[nothing], IMAGE[nothing])


def test_saves_an_image_arrays_and_json(tmp_path: Path) -> None:
    for name in ("map.png", "map.NPZ", "map.json"):
        HEAT.save(tmp_path / name)

    with Image.open(tmp_path / "map.png") as opened:
        assert np.array_equal(np.asarray(opened), HEAT.overlay())
    about = {
        "captioner": "small",
        "caption": "A dog sits",
        "target": {"kind": "word", "index": 1},
        "title": "dog",
        "method": "gradcam",
        "unit": "logit",
        "image": {"width": 800, "height": 500},
    }
    with np.load(tmp_path / "map.NPZ") as arrays:
        assert np.array_equal(arrays["map"], VALUES)
        assert json.loads(str(arrays["about"])) == about
    saved = json.loads((tmp_path / "map.json").read_text(encoding="utf-8"))
    assert np.allclose(Map.from_json(saved.pop("map")).values, VALUES, atol=8 / 255)
    assert saved == about
    with pytest.raises(ValueError, match=r"map.bmp has none of the suffixes .png, .npz and .json"):
        HEAT.save(tmp_path / "map.bmp")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_notebook_shows_the_map_over_the_image_and_escapes_texts() -> None:
    heat = replace(HEAT, caption=ATTACK, title=ATTACK)

    page = heat._repr_html_()
    tree = read(page)

    (image,) = tree.all("img")
    prefix, data = str(image.attributes["src"]).split(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
        shown = np.asarray(opened.convert("RGB"), float)
    expected = cv2.resize(heat.overlay(), (640, 400), interpolation=cv2.INTER_AREA)
    assert prefix == "data:image/webp;base64"
    assert (image.attributes["width"], image.attributes["height"]) == ("640", "400")
    # WebP is lossy; the image without the map differs by more.
    assert np.abs(shown - expected).mean() < 5
    plain = cv2.resize(IMAGE, (640, 400), interpolation=cv2.INTER_AREA)
    assert np.abs(plain.astype(float) - expected).mean() > 10
    assert not tree.all("script")
    assert "\0" not in page
    assert "http" not in page
    assert '<script>alert("&")</script>' in tree.all("figcaption")[0].text


def test_a_notebook_shows_the_image_with_its_caption() -> None:
    tree = read(replace(CAPTIONED, text=ATTACK)._repr_html_())

    assert not tree.all("script")
    assert str(tree.all("img")[0].attributes["src"]).startswith("data:image/webp;base64,")
    assert tree.all("figcaption")[0].text.endswith("(40% confidence)")


def test_a_caption_of_low_confidence_is_whole_and_says_so() -> None:
    assert (str(CAPTIONED), CAPTIONED.details.text) == ("A dog sits", "A dog")
    assert CAPTIONED.unsure
    assert CAPTIONED.confidence == 0.4
    assert repr(CAPTIONED) == "<ImageCaption 'A dog sits' (40% confidence)>"
    assert repr(HEAT) == "<HeatMap 2x3 of 'dog' in 'A dog sits' by gradcam>"
