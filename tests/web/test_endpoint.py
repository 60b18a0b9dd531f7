"""A server whose captions come from an endpoint: another Sightline, over its real API."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer, unused_port
from aiohttp.web import Response

import server
from inference.endpoints import EndpointCaptioner
from stream.publishing import Publications
from stream.quota import Owner, QuotaExceeded
from stream.usage_limits import LocalLimits
from stream.webrtc import Sessions
from stream.webrtc.offer import InputKind, Offer
from tests.stream.data_channel.test_explanation_requests import check_all
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import live_sessions, stream_context
from tests.support.peer import Peer
from tests.support.servers.fake_endpoint import error, fake_endpoint, sent_image
from tests.support.servers.feed_app import YARD, Client, get_stream, serve_feeds, wait_for_caption
from web.app import create_app
from web.background import limit_viewer_requests
from web.keys import USAGE_LIMITS
from web.service.reload import SettingsReloader
from web.settings import ServerSettings, read_settings

KEY = "plugh-0123456789abcdef"
CAPTION = confident_caption("A dog runs across the grass")


@asynccontextmanager
async def upstream(port: int, captions: ScriptedCaptions) -> AsyncIterator[Client]:
    """The server that captions."""
    settings = ServerSettings.model_validate({"access": {"caption_token": KEY}})
    async with TestClient(TestServer(create_app(settings, captions), port=port)) as client:
        yield client


@asynccontextmanager
async def downstream(port: int, folder: Path, **settings: Any) -> AsyncIterator[Client]:
    """The server that asks it."""
    key = folder / "key"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    endpoint = {
        "base_url": f"http://127.0.0.1:{port}/v1/",
        "model": "sightline",
        "key_file": str(key),
    }
    values = {"endpoints": {"other": endpoint}, "captioner": "endpoint:other", **settings}
    app = create_app(ServerSettings.model_validate(values))
    async with TestClient(TestServer(app)) as client:
        yield client


async def until_ready(client: Client, status: int) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            async with client.get("/readyz") as response:
                if response.status == status:
                    return dict(await response.json())
            await asyncio.sleep(0.05)


async def test_one_sightline_is_the_endpoint_of_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port, captions = unused_port(), ScriptedCaptions(CAPTION)
    async with downstream(port, tmp_path, feeds={"yard": YARD}) as client:
        paused = await until_ready(client, 503)
        assert paused["error"]["message"] == (
            "Captions paused: the endpoint refuses connections; is it running?"
        )
        async with upstream(port, captions):
            await wait_for_caption(client)
            await until_ready(client, 200)
            event = get_stream(client).latest_caption
            assert event
            assert event.caption.text == "A dog runs across the grass"
            assert event.caption.confidence is None
            assert not len(get_stream(client).recent_frames), "no analysis would use them"
            # The other server states the probability of each word.
            expected = [pytest.approx(word.prob, abs=1e-3) for word in CAPTION.words]
            assert [word.prob for word in event.caption.words] == expected
            listed = await (await client.get("/api/feeds/yard")).text()
            image = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
            encoded = base64.b64encode(image).decode()
            part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
            body = {"model": "sightline", "messages": [{"role": "user", "content": [part]}]}
            chained = await (await client.post("/v1/chat/completions", json=body)).json()
            assert chained["choices"][0]["message"]["content"] == "A dog runs across the grass"
            explained = await client.post("/api/explain?word=dog", data=image)
            explanation = (await explained.json())["explanation"]
            assert (explanation["method"], explanation["map"]["shape"]) == (
                "occlusion-answers",
                [4, 4],
            )
            unmapped = await client.post("/api/caption?maps=true", data=image)
            assert (await unmapped.json())["error"]["code"] == "not-available"
            metrics = await (await client.get("/metrics")).text()
            assert 'sightline_endpoint_requests_total{outcome="failed"} 0.0' not in metrics
            assert 'sightline_endpoint_requests_total{outcome="answered"} ' in metrics
            assert "sightline_engine_ready 1.0" in metrics
        paused = await until_ready(client, 503)
    assert "password" not in listed
    for text in (listed, metrics, str(paused), caplog.text):
        assert KEY not in text
        assert f"127.0.0.1:{port}/v1" not in text
    lines = [each.getMessage() for each in caplog.records if "inference" in each.name]
    assert lines[0] == (
        f"captions paused: endpoint other at 127.0.0.1:{port}: the endpoint refuses connections; "
        "is it running?"
    )


async def test_a_still_scene_costs_few_requests(tmp_path: Path) -> None:
    """The sampler compares frames, and no word maps are due, which would force requests."""
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    port, captions = unused_port(), ScriptedCaptions(CAPTION)
    yard = {**YARD, "source": str(still), "interval_s": 0.25}
    async with upstream(port, captions), downstream(port, tmp_path, feeds={"yard": yard}) as client:
        await wait_for_caption(client)
        stream = get_stream(client)
        async with asyncio.timeout(30):
            while not stream.latest_caption or stream.latest_caption.seq < 3:
                await asyncio.sleep(0.05)
        metrics = await (await client.get("/metrics")).text()
    assert 'sightline_endpoint_requests_total{outcome="answered"} 1.0' in metrics


async def test_a_slow_endpoint_does_not_count_as_load() -> None:
    slow = replace(CAPTION, timing_ms=replace(CAPTION.timing_ms, endpoint=1e6))
    feeds = {"yard": {**YARD, "interval_s": 0.25}}
    async with serve_feeds(ScriptedCaptions(slow), feeds=feeds) as client:
        stream = get_stream(client)
        async with asyncio.timeout(30):
            while not stream.latest_caption or stream.latest_caption.seq < 5:
                await asyncio.sleep(0.05)
        metrics = await (await client.get("/metrics")).text()
    # The time of the endpoint is taken off: here it is longer than the age of the frame.
    assert "sightline_load_lateness_ratio -" in metrics


async def test_a_client_explains_a_word_and_is_told_what_cannot_be_done() -> None:
    async with fake_endpoint() as fake:
        captioner = EndpointCaptioner(fake.endpoint(regions=3))
        captioner.start()
        try:
            async with live_sessions(captioner, interval_s=0.25) as sessions, Peer(None) as peer:
                offer = Offer.from_sdp((await peer.offer()).sdp, InputKind.DEMO, 65_536)
                _, answer = await sessions.accept(offer)
                await peer.accept(answer)
                await peer.until(lambda: peer.received("caption"))
                # The demo video has 640 x 480 pixels.
                assert sent_image(fake.requests[0]).shape == (384, 512, 3)
                (method,) = peer.received("hello")[-1]["model"]["methods"]
                assert method["cost"].startswith("10 requests to the endpoint")
                seq = peer.received("caption")[-1]["seq"]
                peer.send({"type": "freeze", "seq": seq})
                request = {"seq": seq, "method": method["name"]}
                of = {"kind": "word", "index": 1}
                peer.send({"type": "explain", "id": 1, "of": of, **request})
                peer.send({"type": "check", "id": 2, "index": 1, **request})
                await peer.until(lambda: peer.received("explanation") and peer.received("error"))
                check_all(peer)
        finally:
            await captioner.stop()
    (explanation,) = peer.received("explanation")
    assert (explanation["id"], explanation["map"]["shape"]) == (1, [3, 3])
    (refusal,) = peer.received("error")
    assert (refusal["id"], refusal["code"]) == (2, "cannot-explain")
    assert "no probability" in refusal["message"]


async def explain_three_words(sessions: Sessions, owner: Owner) -> list[str]:
    """Request the maps of two words of a frame and of one of another; return each error or ''."""
    async with Peer(None) as peer:
        offer = Offer.from_sdp((await peer.offer()).sdp, InputKind.DEMO, 65_536)
        _, answer = await sessions.accept(offer, owner=owner)
        await peer.accept(answer)

        def captions() -> list[dict[str, Any]]:
            return peer.received("caption")

        def responses() -> list[dict[str, Any]]:
            return [*peer.received("explanation"), *peer.received("error")]

        async def more_than(count: int, messages: Callable[[], list[dict[str, Any]]]) -> None:
            await peer.until(lambda: len(messages()) > count)

        seq = -1
        for number, index in enumerate((1, 2, 1)):
            if index == 1:
                await more_than(len(captions()), captions)
                seq = captions()[-1]["seq"]
                peer.send({"type": "freeze", "seq": seq})
            of = {"kind": "word", "index": index}
            request = {"method": "occlusion-answers", "of": of, "seq": seq}
            peer.send({"type": "explain", "id": number, **request})
            await more_than(number, responses)
        check_all(peer)
        found = sorted(responses(), key=lambda each: each["id"])
    return [each.get("code", "") and f"{each['code']}: {each['message']}" for each in found]


async def offered_methods(sessions: Sessions, owner: Owner) -> list[str]:
    """Return the names of the methods that a new session is offered."""
    async with Peer(None) as peer:
        offer = Offer.from_sdp((await peer.offer()).sdp, InputKind.DEMO, 65_536)
        _, answer = await sessions.accept(offer, owner=owner)
        await peer.accept(answer)
        await peer.until(lambda: peer.received("hello"))
        (hello,) = peer.received("hello")
    return [method["name"] for method in hello["model"]["methods"]]


async def test_viewers_have_a_limit_of_requests_for_explanations_and_admins_none() -> None:
    async with AsyncExitStack() as opened:
        fake = await opened.enter_async_context(fake_endpoint())
        endpoint = fake.endpoint(regions=3, viewer_requests_per_hour=10)
        captioner = EndpointCaptioner(endpoint)
        captioner.start()
        opened.push_async_callback(captioner.stop)
        context = await opened.enter_async_context(stream_context(captioner, interval_s=0.25))
        limits = context.limits
        assert isinstance(limits, LocalLimits)
        limit_viewer_requests(limits, endpoint)
        sessions = await opened.enter_async_context(Sessions(context, Publications()))

        viewer = Owner("192.0.2.1", is_admin=False, share=0.5)
        *explained, refused = await explain_three_words(sessions, viewer)
        # The second word of a frame needs no further requests.
        assert explained == ["", ""]
        assert refused == (
            "limit-reached: Not explained: this address has used its share of the viewers' "
            "requests to the endpoint (10 an hour); try again in 120 minutes."
        )
        admin = replace(viewer, is_admin=True)
        assert await explain_three_words(sessions, admin) == ["", "", ""]

        # Nothing is offered to those who may cause no request.
        limit_viewer_requests(limits, replace(endpoint, viewer_requests_per_hour=0))
        assert await offered_methods(sessions, viewer) == []
        assert await offered_methods(sessions, admin) == ["occlusion-answers"]


async def test_a_reload_changes_the_endpoint_and_keeps_the_one_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = tmp_path / "sightline.toml"

    def configure(name: str, key: str, per_hour: int = 600) -> None:
        (tmp_path / "key").write_text(key)
        (tmp_path / "key").chmod(0o600)
        config.write_text(
            f"captioner = 'endpoint:{name}'\n[endpoints.{name}]\nbase_url = '{fake.url}'\n"
            f"model = 'llava'\nkey_file = '{tmp_path / 'key'}'\n"
            f"viewer_requests_per_hour = {per_hour}\n[feeds.yard]\nsource = 'demo'\n"
            "interval_s = 0.25\n"
        )

    def refusal() -> str:
        """Return the reason why a viewer cannot have a million requests."""
        viewer = Owner("192.0.2.1", is_admin=False, share=0.5)
        with pytest.raises(QuotaExceeded) as caught:
            app[USAGE_LIMITS].endpoint_requests.take(viewer, 10**6)
        return str(caught.value)

    def read() -> ServerSettings:
        return read_settings(config, {})

    async with fake_endpoint() as fake:
        configure("gpu", "sk-first-0123456789")
        app = create_app(read())
        async with TestClient(TestServer(app)) as client:
            reloader = SettingsReloader(app, read(), read, None, asyncio.Event())
            await wait_for_caption(client)
            assert "(600 an hour)" in refusal()
            configure("gpu", "sk-second-0123456789", per_hour=50)
            await reloader.reload()
            await fake.until(lambda: "second" in fake.headers[-1]["Authorization"])
            assert "settings reloaded; changed: endpoints" in caplog.text
            assert "(50 an hour)" in refusal()
            configure("cpu", "sk-third-0123456789")
            await reloader.reload()
            sent = len(fake.requests)
            await fake.until(lambda: len(fake.requests) > sent)
    assert "these settings need a restart: endpoints, captioner" in caplog.text
    assert "second" in fake.headers[-1]["Authorization"]
    assert "sk-" not in caplog.text


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photograph.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    return path


async def run(config: Path, url: str, *arguments: str) -> int:
    """Run server.py with an endpoint at a URL; return its exit status."""

    def main() -> int:
        config.write_text(f"[endpoints.gpu]\nbase_url = '{url}'\nmodel = 'llava'\n")
        return server.main(["--config", str(config), "--captioner", "endpoint:gpu", *arguments])

    return await asyncio.to_thread(main)


async def test_the_command_line_captions_by_an_endpoint(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with fake_endpoint() as fake:
        assert await run(tmp_path / "a.toml", fake.url, "caption", str(photograph)) == 0
    assert capsys.readouterr().out == "  0:00.0  A dog runs  (not calibrated)\n"


async def test_an_endpoint_that_is_down_ends_the_command_and_keeps_the_subtitles(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subtitles, config = tmp_path / "kept.vtt", tmp_path / "a.toml"
    subtitles.write_text("earlier subtitles")
    arguments = ("caption", str(photograph), "--vtt", str(subtitles))
    assert await run(config, f"http://127.0.0.1:{unused_port()}/v1", *arguments) == 2
    error_text = "sightline: The endpoint refuses connections; is it running?\n"
    assert capsys.readouterr().err == error_text
    assert subtitles.read_text() == "earlier subtitles"
    async with fake_endpoint() as fake:
        fake.responses = [error(404, "model 'llava' not found")]
        assert await run(config, fake.url, "caption", str(photograph)) == 2
    message = (
        "sightline: The endpoint answers 404: model 'llava' not found; check model, and base_url, "
        "which usually ends with /v1.\n"
    )
    assert capsys.readouterr().err == message


async def test_check_looks_at_the_configuration_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{unused_port()}/v1"
    assert await run(tmp_path / "a.toml", url, "--check") == 0
    assert capsys.readouterr().out == "sightline: configuration OK\n"


async def test_explain_writes_a_report_and_tells_the_number_of_requests_first(
    tmp_path: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    arguments = ("explain", str(photograph), "--out", str(out))
    async with fake_endpoint() as fake:
        # Hiding any region leaves the answer as it is.
        assert await run(tmp_path / "a.toml", fake.url, *arguments) == 0
        assert len(fake.requests) == 1 + 17
    said = capsys.readouterr()
    assert said.err.startswith("Explaining takes 17 requests to the endpoint.\n")
    files = {path.name: path for path in out.iterdir()}
    assert files.keys() == {"report.html", "report.json", "occlusion-answers.png"}
    report = json.loads(files["report.json"].read_text())
    assert report["captioner"]["name"] == "llava"
    assert report["caption"] == {
        "text": "A dog runs",
        "confidence": None,
        "fallback": None,
        "guess": "",
        "runner_up": "",
        "instead_of": "",
    }
    (method,) = report["methods"]
    assert method["cost"].startswith("17 requests to the endpoint")
    assert [each["of"] for each in method["maps"]] == [
        {"kind": "caption"},
        {"kind": "word", "index": 1},
        {"kind": "word", "index": 2},
    ]
    assert {each["peak"] for each in method["maps"]} == {0}


@pytest.mark.parametrize(
    ("only", "response", "message"),
    [
        ("gradcam", None, "an endpoint allows no method or analysis 'gradcam'; use occlusion"),
        ("occlusion-answers", error(500), "The endpoint answers 500."),
    ],
)
async def test_explain_fails_without_leaving_files(
    tmp_path: Path,
    photograph: Path,
    capsys: pytest.CaptureFixture[str],
    only: str,
    response: Response | None,
    message: str,
) -> None:
    out = tmp_path / "report"
    arguments = ("explain", str(photograph), "--out", str(out), "--only", only)
    async with fake_endpoint() as fake:
        fake.responses = [response] if response else []
        assert await run(tmp_path / "a.toml", fake.url, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"sightline: {message}")
    assert not await asyncio.to_thread(out.exists)
