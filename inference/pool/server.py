"""A caption service as an HTTP server on a Unix socket or a TCP port."""

import contextlib
import os
from pathlib import Path

from aiohttp import web

from inference.engine import CaptionService
from inference.pool.codec import CONTENT_TYPE, MAX_REQUEST_BYTES, PATH, PROTOCOL_HEADER
from inference.pool.handler import CaptionHandler, Refusal


class CaptionServer:
    """Serves a caption service to `PoolCaptioner`s in other processes; uses no Ray."""

    def __init__(
        self, service: CaptionService, *, replica: str = "", secret: str | None = None
    ) -> None:
        """Prepare to serve; see `CaptionHandler` for the arguments."""
        self._handler = CaptionHandler(service, replica=replica, secret=secret)
        self._runner: web.AppRunner | None = None
        self._socket: Path | None = None

    def application(self) -> web.Application:
        """Return an application with the routes of the service."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.add_routes([web.get(PATH, self._state), web.post(PATH, self._answer)])
        return app

    async def listen_unix(self, path: Path) -> None:
        """Listen on a Unix socket that only the user of this process can connect to.

        Raises:
            OSError: If the socket cannot be created.
        """
        runner = await self._start()
        self._socket = path
        # Created without permissions for others: a change afterwards would come too late.
        mask = os.umask(0o177)
        try:
            await web.UnixSite(runner, path).start()
        finally:
            os.umask(mask)

    async def listen(self, host: str, port: int) -> int:
        """Listen on a TCP port, 0 for a free one; return the port.

        Raises:
            OSError: If the port cannot be used.
        """
        runner = await self._start()
        await web.TCPSite(runner, host, port).start()
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        """Cancel all requests, stop listening and remove the socket."""
        if self._runner:
            await self._runner.cleanup()
        self._runner = None
        if self._socket:
            self._socket.unlink(missing_ok=True)
        self._socket = None

    async def _start(self) -> web.AppRunner:
        if self._runner is None:
            # A client cancels a request by closing its connection.
            self._runner = web.AppRunner(
                self.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.5
            )
            await self._runner.setup()
        return self._runner

    async def _state(self, request: web.Request) -> web.Response:
        try:
            self._admit(request)
        except Refusal as refusal:
            return _refuse(refusal)
        return web.Response(body=await self._handler.state(), content_type=CONTENT_TYPE)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            self._admit(request)
            body = await self._handler.read_body(request.content.iter_any())
            messages = self._handler.answer(body)
        except Refusal as refusal:
            return _refuse(refusal)
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
        async with contextlib.aclosing(messages):
            # A client that has gone ends the request.
            with contextlib.suppress(ConnectionResetError):
                async for message in messages:
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(message)
                await response.write_eof()
        return response

    def _admit(self, request: web.Request) -> None:
        self._handler.admit(
            request.headers.get("Authorization"), request.headers.get(PROTOCOL_HEADER)
        )


def _refuse(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, text=str(refusal))
