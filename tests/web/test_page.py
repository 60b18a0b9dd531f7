"""The pages, and the example that the start page shows."""

import json
import re
from urllib.parse import urljoin

import numpy as np
from PIL import Image

from inference.captioning import Caption, FrameRequest
from inference.engine import Engine
from tests.support.servers.feed_app import serve_feeds
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


async def test_a_browser_gets_a_page_where_there_is_none_and_programs_get_json() -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with serve_feeds(feeds={}) as client:
        for path in ("/nothing", "/no/such%2Fthing/", "/analyses/none", "/static/css/none.css"):
            async with client.get(path, headers=browser) as response:
                page = await response.text()
                assert (response.status, response.content_type) == (404, "text/html"), path
            assert "<h1>Page not found</h1>" in page
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            # Its links are relative, and right at any depth.
            links = {urljoin(path, link) for link in re.findall(r'href="([^"]+)"', page)}
            assert {"/", "/?wall", "/?history", "/api", "/static/css/base.css"} <= links
            async with client.get(path) as response:
                assert (await response.json())["error"]["code"], path
        for path in ("/api/nothing", "/api/feeds/none", "/v1/nothing"):
            async with client.get(path, headers=browser) as response:
                assert (response.status, response.content_type) == (404, "application/json"), path
