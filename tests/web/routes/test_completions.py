"""`/v1` over real HTTP, with the `openai` package as the client."""

import asyncio
import base64
import io
import json
import math
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import skimage
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import TestClient
from numpy.typing import NDArray
from PIL import Image

from inference.captioning.caption import Caption
from inference.captioning.stream_state import FrameRequest, FrameResult
from inference.engine.service import EngineState, EngineUnavailable
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.heic import write_heic
from tests.support.servers.feed_app import Client, serve_feeds
from tests.support.servers.in_process_server import in_process_server
from web.keys import ENGINE, IMAGE_CAPTIONS

ADMIN, VIEWER, PROGRAM = "a" * 20, "v" * 20, "c" * 20
TOKENS = {"admin_token": ADMIN, "viewer_token": VIEWER, "caption_token": PROGRAM}
PHOTOGRAPH = Path(skimage.__file__).parent / "data" / "motorcycle_left.png"
Openai = openai.AsyncOpenAI


def data_url(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


DOT = data_url(png(np.zeros((2, 2, 3), np.uint8)))


def asking(url: str = DOT) -> list[Any]:
    parts = [
        {"type": "text", "text": "What is in this image?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return [{"role": "user", "content": parts}]


@asynccontextmanager
async def package(
    client: TestClient[Any, Any] | str, token: str = "unused"
) -> AsyncIterator[Openai]:
    url = client if isinstance(client, str) else str(client.make_url("/"))
    async with Openai(base_url=f"{url.rstrip('/')}/v1", api_key=token, max_retries=0) as api:
        yield api


@asynccontextmanager
async def scripted(
    captions: ScriptedCaptions | None = None, token: str = "unused", **settings: Any
) -> AsyncIterator[tuple[Client, Openai]]:
    async with (
        serve_feeds(captions, feeds={}, **settings) as client,
        package(client, token) as api,
    ):
        yield client, api


class HeldCaptions(ScriptedCaptions):
    """Captions that arrive when the test releases them."""

    def __init__(self) -> None:
        super().__init__(confident_caption("A cup"))
        self.release = asyncio.Semaphore(0)
        self.requests: list[FrameRequest] = []
        self.waiting = 0

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Wait for the test."""
        self.requests.append(request)
        self.waiting += 1
        try:
            await self.release.acquire()
        finally:
            self.waiting -= 1
        return await super().caption_frame(request, beam_width)


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def expected_caption(client: TestClient[Any, Any], pixels: NDArray[np.uint8]) -> Caption:
    assert client.app
    engine = client.app[ENGINE]
    await engine.wait_ready()
    assert engine.info
    caption: Caption = await engine.caption(engine.info.resizing.apply(pixels))
    return caption


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PHOTOGRAPH).convert("RGB"), np.uint8)


async def test_a_photograph_gets_the_captioners_caption(
    client: TestClient[Any, Any], pixels: NDArray[np.uint8]
) -> None:
    expected = await expected_caption(client, pixels)
    url = data_url(png(pixels))
    async with package(client) as api:
        (model,) = (await api.models.list()).data
        completion = await api.chat.completions.create(
            model=model.id, messages=asking(url), logprobs=True, top_logprobs=2
        )
        again = await api.chat.completions.create(model="sightline", messages=asking(url))

    (choice,) = completion.choices
    assert expected.fallback is None
    assert choice.message.content == again.choices[0].message.content == expected.text
    assert (choice.finish_reason, completion.model, again.model) == ("stop", model.id, model.id)
    assert choice.logprobs and choice.logprobs.content
    probs = [math.exp(token.logprob) for token in choice.logprobs.content]
    assert probs == pytest.approx([word.prob for word in expected.words], abs=1e-4)
    for token, word in zip(choice.logprobs.content, expected.words, strict=True):
        likeliest = max([word.prob or 0, *(other.prob for other in word.alternatives)])
        assert math.exp(token.top_logprobs[0].logprob) == pytest.approx(likeliest, abs=1e-4)
        assert len(token.top_logprobs) == 2
    assert again.choices[0].logprobs is None
    assert completion.usage and completion.usage.completion_tokens == len(expected.words)
    assert completion.model_extra
    assert completion.model_extra["sightline"]["confidence"] == expected.confidence


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "HEIC"])
async def test_images_of_many_formats_are_captioned(
    client: TestClient[Any, Any], pixels: NDArray[np.uint8], kind: str
) -> None:
    file = io.BytesIO()
    if kind == "HEIC":
        file.write(write_heic(pixels))
    else:
        Image.fromarray(pixels).save(file, kind, quality=95)
    async with package(client) as api:
        completion = await api.chat.completions.create(
            model="sightline", messages=asking(data_url(file.getvalue()))
        )
    assert "motorcycle" in (completion.choices[0].message.content or "")


async def test_a_streamed_caption_arrives_word_by_word() -> None:
    async with scripted(ScriptedCaptions(confident_caption("A dog runs"))) as (client, api):
        stream = await api.chat.completions.create(
            model="sightline",
            messages=asking(),
            stream=True,
            logprobs=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        words = [choice.delta.content for chunk in chunks for choice in chunk.choices]
        assert words == ["", "A", " dog", " runs", None]
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage and chunks[-1].usage.completion_tokens == 3

        body = {"model": "sightline", "messages": asking(), "stream": True}
        async with client.post("/v1/chat/completions", json=body) as response:
            assert response.content_type == "text/event-stream"
            events = (await response.text()).split("\n\n")
        assert all(event.startswith("data: ") for event in events[:-1])
        assert events[-2:] == ["data: [DONE]", ""]


async def test_models_are_found_by_name() -> None:
    async with scripted() as (_, api):
        assert [model.id async for model in api.models.list()] == ["scripted"]
        for name in ("scripted", "sightline"):
            assert (await api.models.retrieve(name)).id == "scripted"
        for name in ("gpt-5", "a/b"):
            with pytest.raises(openai.NotFoundError) as missing:
                await api.models.retrieve(name)
            assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.NotFoundError, match="use scripted or sightline"):
            await api.chat.completions.create(model="gpt-5", messages=asking())


@pytest.mark.parametrize(
    ("parameters", "reason", "param"),
    [
        ({"messages": asking("https://x/y.jpg")}, "fetches no addresses", "messages"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "has no image", "messages"),
        ({"n": 3}, "n must be 1", "n"),
        ({"max_tokens": -1}, "max_tokens: input should be", "max_tokens"),
        ({"messages": asking(data_url(b"%PDF-1.7"))}, "is not an image", "messages"),
        ({"messages": asking(DOT[:-1])}, "not valid base64", "messages"),
        ({"messages": asking(data_url(b"\x89PNG\r\n\x1a\n"))}, "damaged", "messages"),
    ],
)
async def test_an_invalid_request_raises_bad_request(
    parameters: dict[str, Any], reason: str, param: str
) -> None:
    async with scripted() as (_, api):
        with pytest.raises(openai.BadRequestError, match=reason) as rejected:
            await api.chat.completions.create(
                **{"model": "sightline", "messages": asking(), **parameters}
            )
    error = rejected.value
    assert (error.param, error.type) == (param, "invalid_request_error")
    assert error.code in ("invalid_request", "invalid_image")


async def test_an_image_of_too_many_pixels_is_not_decoded() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    url = data_url(b"\x89PNG\r\n\x1a\n" + chunk + png(np.zeros((2, 2, 3), np.uint8))[33:])
    async with scripted() as (_, api):
        with pytest.raises(openai.BadRequestError, match="20000x20000 pixels, more than the limit"):
            await api.chat.completions.create(model="sightline", messages=asking(url))


async def test_tokens_decide_who_may_request_captions() -> None:
    async with scripted(access=TOKENS) as (client, _):
        for token in (ADMIN, PROGRAM):
            async with package(client, token) as api:
                completion = await api.chat.completions.create(model="sightline", messages=asking())
                assert completion.choices[0].message.content == "A dog runs"
        async with package(client, "w" * 20) as api:
            with pytest.raises(openai.AuthenticationError, match="the token is wrong") as rejected:
                await api.chat.completions.create(model="sightline", messages=asking())
            assert rejected.value.code == "invalid_api_key"
        async with package(client, VIEWER) as api:
            with pytest.raises(openai.PermissionDeniedError, match="requires the caption token"):
                await api.models.list()


async def test_the_caption_token_allows_nothing_else() -> None:
    headers = {"Authorization": f"Bearer {PROGRAM}"}
    async with scripted(access=TOKENS) as (client, _):
        for path in ("/api/feeds", "/api/events", "/metrics", "/", "/analyses/x"):
            async with client.get(path, headers=headers) as response:
                assert response.status == 403, path
                assert "viewer token" in await response.text() or path == "/analyses/x"
        async with client.get("/api/me", headers=headers) as response:
            assert await response.json() == {"role": "captions", "tokens": True}
        async with client.post("/login", json={"token": PROGRAM}) as response:
            assert (response.status, len(response.cookies)) == (403, 0)
            assert "for programs" in await response.text()


async def test_an_open_server_lets_nobody_request_captions_without_a_token() -> None:
    access = {"admin_token": ADMIN, "open": True}
    async with scripted(access=access) as (client, _), client.get("/v1/models") as response:
        assert response.status == 403
        assert (await response.json())["error"]["type"] == "permission_error"


async def test_images_wait_in_turn_and_no_more_than_fit() -> None:
    captions = HeldCaptions()
    async with scripted(captions) as (client, api):
        assert client.app
        waiting = [
            asyncio.create_task(
                api.chat.completions.create(model="sightline", messages=asking(data_url(image)))
            )
            for image in (png(np.full((2, 2, 3), value, np.uint8)) for value in range(0, 160, 10))
        ]
        await until(lambda: len(client.app[IMAGE_CAPTIONS]) == 16 and captions.waiting)
        async with client.get("/metrics") as response:
            assert "sightline_image_requests 16.0" in await response.text()
        with pytest.raises(openai.RateLimitError, match="limit of 16 caption requests") as full:
            await api.chat.completions.create(model="sightline", messages=asking())
        assert int(full.value.response.headers["Retry-After"]) > 0
        assert full.value.code == "rate_limit_exceeded"

        for done in range(1, 17):
            assert captions.waiting == 1, "one at a time"
            captions.release.release()
            await until(lambda done=done: len(captions.requests) > done or done == 16)
        for task in waiting:
            assert (await task).choices[0].message.content == "A cup"
        assert all(request.background and not request.maps for request in captions.requests)
        await until(lambda: not len(client.app[IMAGE_CAPTIONS]))


async def test_a_client_that_leaves_gives_its_place_away(tmp_path: Path) -> None:
    captions = HeldCaptions()
    async with (
        # As in production: the server of `scripted` cancels handlers itself.
        in_process_server(tmp_path, captions=captions) as server,
        package(f"http://127.0.0.1:{server.port}") as api,
    ):
        create = api.chat.completions.create
        leaving = asyncio.create_task(create(model="sightline", messages=asking()))
        await until(lambda: captions.waiting == 1)
        staying = asyncio.create_task(create(model="sightline", messages=asking()))
        leaving.cancel()
        await until(lambda: len(captions.requests) == 2)
        assert captions.waiting == 1
        captions.release.release()
        assert (await staying).choices[0].message.content == "A cup"


class PausedCaptions(ScriptedCaptions):
    """Captions of a captioner that stopped."""

    state, message = EngineState.PAUSED, "The captioner stopped; restarting it."

    async def caption_frame(self, request: FrameRequest, beam_width: int | None) -> FrameResult:
        """Fail, as the engine does without a worker."""
        raise EngineUnavailable(self.message)


class LoadingCaptions(PausedCaptions):
    """Captions of a captioner that was never loaded."""

    state, message, info = EngineState.STARTING, "The captioner is starting.", None  # type: ignore[assignment]


@pytest.mark.parametrize("captions", [PausedCaptions, LoadingCaptions])
async def test_a_paused_captioner_is_reported(captions: type[ScriptedCaptions]) -> None:
    service = captions(confident_caption("A cup"))
    async with scripted(service) as (_, api):
        with pytest.raises(openai.InternalServerError, match="The captioner") as paused:
            await api.chat.completions.create(model="sightline", messages=asking())
        assert paused.value.status_code == 503
        assert paused.value.code == "captioner_unavailable"
        assert int(paused.value.response.headers["Retry-After"]) > 0
        if service.info is None:
            with pytest.raises(openai.InternalServerError, match="The captioner is starting"):
                await api.models.list()


async def test_errors_of_the_server_have_the_apis_form() -> None:
    async with scripted(limits={"requests_per_s": 1.5}) as (client, _):
        cases: list[tuple[str, str, dict[str, Any], int, str]] = [
            ("GET", "/v1/nothing", {}, 404, "not_found"),
            ("GET", "/v1/chat/completions", {}, 405, "method_not_allowed"),
            ("GET", "/v1/models", {"headers": {"Origin": "http://x.org"}}, 403, "bad_origin"),
            ("GET", "/v1/models", {"headers": {"Host": "x.org"}}, 403, "bad_host"),
            ("POST", "/v1/chat/completions", {"data": b"{"}, 400, "invalid_request"),
            (
                "POST",
                "/v1/chat/completions",
                {"data": b"{}", "headers": {"Content-Encoding": "gzip"}},
                415,
                "bad_encoding",
            ),
        ]
        for method, path, sent, status, code in cases:
            async with client.request(method, path, **sent) as response:
                error = (await response.json())["error"]
                assert (response.status, error["code"]) == (status, code)
                assert set(error) == {"message", "type", "param", "code"}
        async with client.get("/api/nothing") as response:
            # Other routes keep their own form.
            assert set((await response.json())["error"]) == {"code", "message"}
        async with asyncio.timeout(30):
            while (response := await client.get("/v1/models")).status == 200:
                pass
        assert response.status == 429 and int(response.headers["Retry-After"]) > 0
        assert (await response.json())["error"]["type"] == "rate_limit_error"


def large_image() -> str:
    """Return the URL of an image of 1.6 MB."""
    return data_url(png(np.random.default_rng(1).integers(0, 256, (720, 720, 3), np.uint8)))


_IMAGES = """
[access]
admin_token = "aaaaaaaaaaaaaaaaaaaa"
caption_token = "cccccccccccccccccccc"
[limits]
bytes_per_s = 10000
image_bytes = 2000000
image_bytes_per_s = 1000
"""


async def test_images_have_limits_of_their_own(tmp_path: Path) -> None:
    messages = asking(large_image())
    async with (
        in_process_server(tmp_path, _IMAGES) as server,
        package(f"http://127.0.0.1:{server.port}", PROGRAM) as api,
    ):
        # Each is more than other bodies may have, and than the address may send otherwise.
        for _ in range(2):
            await api.chat.completions.create(model="sightline", messages=messages)
        with pytest.raises(openai.RateLimitError, match="too many bytes") as limited:
            await api.chat.completions.create(model="sightline", messages=messages)
        assert int(limited.value.response.headers["Retry-After"]) > 10
        await api.models.list()


async def test_what_follows_an_image_on_its_connection_counts_as_before(tmp_path: Path) -> None:
    body = json.dumps({"model": "sightline", "messages": asking(large_image())}).encode()
    headers = {"Authorization": f"Bearer {PROGRAM}"}
    async with (
        in_process_server(tmp_path, _IMAGES) as server,
        ClientSession(
            f"http://127.0.0.1:{server.port}", connector=TCPConnector(limit=1), headers=headers
        ) as http,
    ):
        async with http.post("/v1/chat/completions", data=io.BytesIO(body)) as response:
            assert response.status == 200
        statuses = []
        for _ in range(2):
            async with http.post("/login", data=b" " * 90_000) as response:
                statuses.append(response.status)
    # The first is no JSON; the second has more bytes than the address may send.
    assert statuses == [400, 429]


async def test_a_body_that_will_be_rejected_is_not_awaited(tmp_path: Path) -> None:
    short, large = "Content-Length: 1000", "Content-Length: 67108864"
    chunk = b"40000\r\n" + b" " * 0x40000 + b"\r\n"
    config = _IMAGES.replace("image_bytes = 2000000", "image_bytes = 100000\nbody_s = 2")
    cases = [
        (PROGRAM, large, b"{", 413),
        (PROGRAM, "Transfer-Encoding: chunked", chunk, 413),
        (PROGRAM, short, b"{", 408),
        (VIEWER, large, b"{", 401),
        (VIEWER, short, b"{", 401),
    ]
    async with in_process_server(tmp_path, config) as server:

        async def post(token: str, headers: str, body: bytes) -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
            writer.write(f"{head}Authorization: Bearer {token}\r\n\r\n".encode() + body)
            async with asyncio.timeout(20):
                answer = (await reader.readuntil(b"\r\n\r\n")).decode()
                assert "Connection: close" in answer
                error = json.loads(await reader.read())["error"]
            assert set(error) == {"message", "type", "param", "code"}
            writer.close()
            return int(answer.split()[1])

        statuses = await asyncio.gather(*(post(*case[:3]) for case in cases))
    assert statuses == [status for *_, status in cases]
