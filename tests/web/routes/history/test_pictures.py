"""Stored pictures over HTTP: who sees them, where they are linked, and when there are none."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from inference.explanations import CaptionMaps, Map
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.servers.feed_app import Client, serve_feeds
from web.keys import HISTORY

EACH = Map(np.eye(3, dtype=np.float32))
DOG = replace(confident_caption("A dog runs"), maps=CaptionMaps("gradcam", (EACH,) * 3, EACH))
TOKENS = {"admin_token": "admin-" + "a" * 20, "viewer_token": "viewer-" + "v" * 20}


def bearer(kind: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[f'{kind}_token']}"}


@asynccontextmanager
async def serving(tmp_path: Path, mode: str = "changes", **settings: Any) -> AsyncIterator[Client]:
    """Serve a feed whose first caption is in the history, with its picture if there are any."""
    history = {"path": tmp_path / "history.sqlite", "pictures": mode, **settings.pop("history", {})}
    async with serve_feeds(ScriptedCaptions(DOG), history=history, **settings) as client:
        assert client.app
        kept = client.app[HISTORY]
        async with asyncio.timeout(20):
            while not (kept.spans and (mode == "off" or kept.pictures.kept)):
                await asyncio.sleep(0.01)
        yield client


async def get(client: Client, path: str, role: str | None = None) -> tuple[int, bytes, Any]:
    async with client.get(path, headers=bearer(role) if role else {}) as response:
        return response.status, await response.read(), response.headers


async def first_span(client: Client, role: str | None = None) -> Any:
    _, body, _ = await get(client, "/api/history/search", role)
    return json.loads(body)["spans"][-1]


async def test_a_picture_and_its_maps_are_linked_and_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        span = await first_span(client)
        link = f"/api/history/{span['id']}/picture"
        status, image, headers = await get(client, link)
        maps_status, maps, _ = await get(client, f"/api/history/{span['id']}/maps")
        exported = [
            (await get(client, f"/api/history/export?format={name}"))[1].decode()
            for name in ("csv", "jsonl", "vtt")
        ]
        _, metrics, _ = await get(client, "/metrics")
        _, feeds, _ = await get(client, "/api/feeds")

    assert span["picture"] == link and (status, maps_status) == (200, 200)
    assert headers["Content-Type"] == "image/webp"
    assert headers["Cache-Control"] == "private, max-age=3600, immutable"
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None and max(pixels.shape) == 384
    assert len(image) < 40_000
    words = json.loads(maps)["words"]
    assert [word["text"] for word in words] == ["a", "dog", "runs"]
    assert words[1]["map"]["shape"] == [3, 3]
    assert next(csv.DictReader(io.StringIO(exported[0])))["picture"] == link
    assert json.loads(exported[1].splitlines()[0])["picture"] == link
    assert "picture" not in exported[2]
    assert b'sightline_history_pictures_total{outcome="stored"} 1.0' in metrics
    assert b'sightline_history_pictures_total{outcome="lost"} 0.0' in metrics
    listed = json.loads(feeds)
    assert listed["pictures"] and listed["feeds"][0]["pictures"]


async def test_off_stores_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, mode="off") as client:
        span = await first_span(client)
        status, body, _ = await get(client, f"/api/history/{span['id']}/picture")
        _, feeds, _ = await get(client, "/api/feeds")
        _, metrics, _ = await get(client, "/metrics")

    assert span["picture"] is None
    assert status == 404 and json.loads(body)["error"]["code"] == "no-picture"
    assert not json.loads(feeds)["pictures"] and b"history_pictures" not in metrics
    stored = (tmp_path / "history.sqlite").read_bytes()
    assert b"A dog runs" in stored
    # Neither a WebP (RIFF container) nor a map.
    assert b"RIFF" not in stored and b'"words"' not in stored


@pytest.mark.parametrize("allowed", ["viewer", "admin"])
async def test_viewers_see_pictures_only_if_the_settings_say_so(
    tmp_path: Path, allowed: str
) -> None:
    async with serving(tmp_path, access=TOKENS, history={"pictures_for": allowed}) as client:
        span = await first_span(client, "viewer")
        link = (await first_span(client, "admin"))["picture"]
        maps = link.replace("picture", "maps")
        _, lines, _ = await get(client, "/api/history/export?format=jsonl", "viewer")
        statuses = {
            role: [(await get(client, path, role))[0] for path in (link, maps)]
            for role in ("admin", "viewer", None)
        }
        _, feeds, _ = await get(client, "/api/feeds", "viewer")

    seen = link if allowed == "viewer" else None
    assert span["picture"] == json.loads(lines.splitlines()[0])["picture"] == seen
    expected = [200, 200] if allowed == "viewer" else [403, 403]
    assert statuses == {"admin": [200, 200], "viewer": expected, None: [401, 401]}
    # Whoever sees the feed knows that pictures of it are stored.
    assert json.loads(feeds)["pictures"]


async def test_a_deleted_picture_and_wrong_requests_are_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        span = await first_span(client)
        async with client.delete("/api/history?feed=yard") as response:
            assert (await response.json())["deleted"] >= 1
        answers = {}
        for path in (
            f"{span['id']}/picture",
            f"{span['id']}/maps",
            f"{span['id']}/picture?size=9",
            "0/picture",
            f"{10**18}/picture",
            "-1/picture",
            "%D9%A3/picture",
            "1e3/maps",
        ):
            answers[path] = (await get(client, f"/api/history/{path}"))[0]
    assert list(answers.values()) == [404, 404, 400, 404, 404, 404, 404, 404]


async def test_a_caption_without_maps_has_a_picture_without_maps(tmp_path: Path) -> None:
    history = {"path": tmp_path / "history.sqlite", "pictures": "changes"}
    captions = ScriptedCaptions(confident_caption("A dog runs"))
    async with serve_feeds(captions, history=history) as client:
        assert client.app
        async with asyncio.timeout(20):
            while not client.app[HISTORY].pictures.kept:
                await asyncio.sleep(0.01)
        span = await first_span(client)
        status, _, _ = await get(client, span["picture"])
        maps_status, body, _ = await get(client, f"/api/history/{span['id']}/maps")

    assert (status, maps_status) == (200, 404)
    assert json.loads(body)["error"]["code"] == "no-maps"
