"""The pages, and the example that the start page shows."""

import json

import numpy as np
from PIL import Image

from inference.captioning import Caption, FrameRequest
from inference.engine import Engine
from web.page import STATIC


async def test_the_example_is_what_the_shipped_captioner_says(engine: Engine) -> None:
    """`python -m tests.bench.demo_pictures --only example` makes it anew."""
    assert engine.info
    with Image.open(STATIC / "example.webp") as photograph:
        image = engine.info.resizing.apply(np.asarray(photograph.convert("RGB")))
    caption, _ = await engine.caption_frame(FrameRequest(image), None)
    stored = json.loads((STATIC / "example.json").read_text())

    shown = Caption.from_json({**caption.to_json(), **stored})
    assert shown.text == caption.text
    assert [word.text for word in shown.words] == [word.text for word in caption.words]
    assert shown.maps
    assert caption.maps
    for word, is_, was in zip(shown.words, caption.maps.words, shown.maps.words, strict=True):
        if word.confidence is not None:
            np.testing.assert_allclose(was.values, is_.values, atol=0.02 * is_.values.max())
