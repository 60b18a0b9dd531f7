"""A webhook receiver with scripted responses."""

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
    """Records posts, and verifies their signatures."""

    def __init__(self) -> None:
        self.accepted: list[dict[str, Any]] = []
        """The captions that were accepted."""
        self.firings: list[dict[str, Any]] = []
        """The firings of rules that were accepted."""
        self.pictures: list[dict[str, Any]] = []
        """The pictures that were accepted."""
        self.posts: list[Mapping[str, str]] = []
        """The headers of each post, accepted or not."""
        self.responses: list[web.Response | None] = []
        """Responses to the next posts, instead of accepting them; None for no response."""
        self.reject: Callable[[dict[str, Any]], int] = lambda caption: 200
        """Returns the status of the response to a caption."""

    async def handle(self, request: web.Request) -> web.Response:
        """Accept a caption if its signature is valid."""
        body = await request.read()
        self.posts.append(dict(request.headers))
        if self.responses:
            response = self.responses.pop(0)
            if response is None:
                await asyncio.sleep(60)
            else:
                return response
        time, _, signature = request.headers["Sightline-Signature"].partition(",v1=")
        signed = hmac.new(KEY, time.removeprefix("t=").encode() + b"." + body, hashlib.sha256)
        if not hmac.compare_digest(signed.hexdigest(), signature):
            return web.Response(status=403)
        values = await request.json()
        if values["event"] == "rule":
            self.firings.append(values["rule"])
            return web.Response()
        if values["event"] == "picture":
            self.pictures.append(values["picture"])
            return web.Response()
        caption = values["caption"]
        if (status := self.reject(caption)) == 200:
            self.accepted.append(caption)
        return web.Response(status=status)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def receiving(port: int | None = None) -> AsyncIterator[tuple[Receiver, TestServer]]:
    """Run a receiver on a port, or on any free one."""
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.handle)
    app.router.add_post("/elsewhere", receiver.handle)
    server = TestServer(app, port=port)
    async with server:
        yield receiver, server
