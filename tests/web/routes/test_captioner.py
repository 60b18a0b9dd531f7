"""Tests of the route that describes the captioner."""

from dataclasses import replace
from pathlib import Path

from inference.engine.service import EngineState
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.servers.feed_app import serve_feeds


async def test_where_captions_are_computed_is_known_before_the_captioner_is_loaded() -> None:
    captions = ScriptedCaptions(confident_caption("A dog runs"))
    captions.state, captions.info = EngineState.STARTING, None  # type: ignore[assignment]
    reference = "hf:Salesforce/blip-image-captioning-base@main"
    async with (
        serve_feeds(captions, feeds={}, captioner=reference) as client,
        client.get("/api/captioner") as response,
    ):
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.json() == {
            "state": "starting",
            "message": "",
            "source": {
                "kind": "hf",
                "name": "Salesforce/blip-image-captioning-base",
                "revision": "main",
            },
            "model": None,
        }


async def test_viewers_do_not_get_paths(tmp_path: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A dog runs"))
    captions.info = replace(captions.info, captioner=str(tmp_path / "ours"))
    async with (
        serve_feeds(captions, feeds={}) as client,
        client.get("/api/captioner") as response,
    ):
        body = await response.json()
        assert body["source"] == body["model"]["source"]
        assert body["source"] == {"kind": "folder", "name": "ours", "revision": None}
        assert str(tmp_path) not in await response.text()
