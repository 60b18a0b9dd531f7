"""The pages, their assets, and the example that the start page shows."""

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from aiohttp import ClientError
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from inference.captioning import Caption, FrameRequest
from inference.engine import Engine
from tests.support.captions import ScriptedCaptions
from tests.support.servers.feed_app import DOG, serve_feeds
from web.app import create_app
from web.page import STATIC
from web.settings.server import ServerSettings


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
            assert {"/", "/?wall", "/?history", "/?rules", "/api", "/static/css/base.css"} <= links
            async with client.get(path) as response:
                assert (await response.json())["error"]["code"], path
        for path in ("/api/nothing", "/api/feeds/none", "/v1/nothing"):
            async with client.get(path, headers=browser) as response:
                assert (response.status, response.content_type) == (404, "application/json"), path


async def test_browsers_get_assets_in_parts_and_only_when_changed() -> None:
    path = "/static/example.webp"
    whole = (STATIC / "example.webp").read_bytes()
    async with serve_feeds(feeds={}) as client:
        async with client.get(path) as response:
            assert (response.status, await response.read()) == (200, whole)
            assert response.content_type == "image/webp"
            etag, modified = response.headers["ETag"], response.headers["Last-Modified"]
        for condition in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
            async with client.get(path, headers=condition) as response:
                assert (response.status, await response.read()) == (304, b"")
        async with client.get(path, headers={"Range": "bytes=100-199"}) as response:
            assert (response.status, await response.read()) == (206, whole[100:200])
            assert response.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
        async with client.get(path, headers={"Range": "bytes=-7"}) as response:
            assert (response.status, await response.read()) == (206, whole[-7:])
        async with client.get(path, headers={"Range": f"bytes={len(whole)}-"}) as response:
            assert response.status == 416
        async with client.head(path) as response:
            assert (response.status, response.content_length) == (200, len(whole))


async def test_no_asset_stays_open_if_the_server_stops_while_it_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files: list[Any] = []
    opened, stopped = threading.Event(), threading.Event()
    really_open = Path.open

    def open_slowly(path: Path, *arguments: Any, **keywords: Any) -> Any:
        file = really_open(path, *arguments, **keywords)
        if path == STATIC / "favicon.svg":
            files.append(file)
            opened.set()
            stopped.wait(10)
        return file

    monkeypatch.setattr(Path, "open", open_slowly)
    server = TestServer(create_app(ServerSettings(), ScriptedCaptions(DOG)))
    await server.start_server(shutdown_timeout=0.05)
    async with TestClient(server) as client:
        request = asyncio.create_task(client.get("/static/favicon.svg"))
        assert await asyncio.to_thread(opened.wait, 10)
        await server.close()
    stopped.set()
    with pytest.raises(ClientError):
        await request
    async with asyncio.timeout(5):
        while not files[0].closed:
            await asyncio.sleep(0.01)
