"""A server of the chat completions API that behaves as a test tells it, mostly badly."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer
from numpy.typing import NDArray

from inference.endpoints import Endpoint

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEY = "sk-plugh-0123456789"


class FakeEndpoint:
    """Answers with a caption, or as the next of `responses` says."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.others: list[str] = []
        """Requests for any other path."""
        self.responses: list[web.Response | Behaviour | str] = []
        """Instead of captions of the next requests; a string is the text of an answer."""
        self.caption: Callable[[NDArray[np.uint8]], str] = lambda image: "A dog runs."
        """Returns the caption of an image, RGB, uint8 [H, W, 3]."""
        self.refuses: tuple[str, ...] = ()
        """Parameters that it does not know."""
        self.answering = asyncio.Event()
        """Cleared by a test to hold the answers back."""
        self.answering.set()
        self.in_flight = self.most_in_flight = self.broken_off = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            await self.answering.wait()
            return await self._answer(request, body)
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = self.responses.pop(0) if self.responses else None
        if isinstance(response, web.Response):
            return response
        if callable(response):
            return await response(request)
        for name in self.refuses:
            if name in body:
                message = f"Unsupported parameter: '{name}' is not supported with this model."
                return web.json_response({"error": {"message": message}}, status=400)
        text = self.caption(sent_image(body)) if response is None else response
        return web.json_response(completion(text))

    async def note_other(self, request: web.Request) -> web.Response:
        """Record a request that the client has no reason to send."""
        self.others.append(f"{request.method} {request.path}")
        return web.Response(status=404)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)

    def endpoint(self, **changes: Any) -> Endpoint:
        """Return this endpoint as the settings would describe it."""
        values = {
            "name": "gpu",
            "base_url": self.url,
            "model": "llava",
            "prompt": "Describe it.",
            "key": KEY,
            "tls_ca": None,
            "timeout_s": 20.0,
            "max_tokens": 50,
            "requests": 2,
            "regions": 2,
            "viewer_requests_per_hour": 600,
        }
        return Endpoint(**{**values, **changes})


def completion(text: str) -> dict[str, Any]:
    """Return a chat completion without log-probabilities."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


def sent_image(body: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return the image of a request: RGB, uint8 [H, W, 3]."""
    _, part = body["messages"][0]["content"]
    prefix, _, data = part["image_url"]["url"].partition(",")
    assert prefix == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(decoded, np.uint8)


def error(status: int, message: str = "", **headers: str) -> web.Response:
    """Return an error in OpenAI's form."""
    body = json.dumps({"error": {"message": message}}) if message else ""
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


@asynccontextmanager
async def fake_endpoint(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeEndpoint]:
    """Run a fake endpoint on a free port of the loopback interface."""
    fake, app = FakeEndpoint(), web.Application()
    app.router.add_post("/v1/chat/completions", fake.handle)
    app.router.add_route("*", "/{path:.*}", fake.note_other)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    fake.url = str(server.make_url("/v1"))
    try:
        yield fake
    finally:
        fake.answering.set()
        await server.close()
