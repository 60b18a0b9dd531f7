"""A program that webhooks are posted to, which answers as a test tells it to."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = b"opensesame"


class Receiver:
    """Keeps what was posted."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        """The captions that were taken."""
        self.posts: list[Mapping[str, str]] = []
        """The headers of each post, taken or not."""
        self.answers: list[web.Response | None] = []
        """What to answer next instead of taking it; None for never."""

    async def take(self, request: web.Request) -> web.Response:
        """Take a caption whose signature is right."""
        body = await request.read()
        self.posts.append(dict(request.headers))
        if self.answers:
            answer = self.answers.pop(0)
            if answer is None:
                await asyncio.sleep(60)
            else:
                return answer
        time, _, signature = request.headers["Sightline-Signature"].partition(",v1=")
        signed = hmac.new(KEY, time.removeprefix("t=").encode() + b"." + body, hashlib.sha256)
        if not hmac.compare_digest(signed.hexdigest(), signature):
            return web.Response(status=403)
        self.taken.append((await request.json())["caption"])
        return web.Response()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def receiving(port: int | None = None) -> AsyncIterator[tuple[Receiver, TestServer]]:
    """Run a receiver."""
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.take)
    app.router.add_post("/elsewhere", receiver.take)
    server = TestServer(app, port=port)
    async with server:
        yield receiver, server
