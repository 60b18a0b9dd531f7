"""A caption service as an HTTP server on a Unix socket or a TCP port."""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from inference.engine import CaptionService
from inference.pool.codec import CONTENT_TYPE, MAX_REQUEST_BYTES, PATH, PROTOCOL_HEADER
from inference.pool.directory import ReplicaAddress
from inference.pool.handler import CaptionHandler, Refusal

_ANY_PORT = (0,)


class CaptionServer:
    """Serves a caption service to `PoolCaptioner`s in other processes; uses no Ray."""

    in_flight = 0
    """Requests to this server that are being received or answered."""

    def __init__(
        self,
        service: CaptionService,
        *,
        replica: str = "",
        secret: str | None = None,
        replicas: Callable[[], Sequence[ReplicaAddress]] = tuple,
        max_requests: int | None = None,
    ) -> None:
        """Prepare to serve; see `CaptionHandler` for the other arguments.

        Args:
            service: As for `CaptionHandler`.
            replica: As for `CaptionHandler`.
            secret: As for `CaptionHandler`.
            replicas: As for `CaptionHandler`.
            max_requests: At once; more are refused, and clients send them to another replica.
                Unlimited if None.
        """
        self.handler = CaptionHandler(service, replica=replica, secret=secret, replicas=replicas)
        self._max_requests = max_requests
        self._runner: web.AppRunner | None = None
        self._socket: Path | None = None
        self._is_draining = False
        self._idle = asyncio.Event()
        self._idle.set()

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

    async def listen(self, host: str, ports: Iterable[int] = _ANY_PORT) -> int:
        """Listen on the first TCP port that is free; return it.

        Args:
            host: Address to bind.
            ports: Those to try, one at least; 0 is any free one.

        Raises:
            OSError: If no port can be used.
        """
        runner = await self._start()
        for port in ports:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE:
                    raise
            else:
                return int(runner.addresses[-1][1])
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, and wait until those in flight are answered.

        Args:
            timeout_s: How long to wait at most.
        """
        self._is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()

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
        return web.Response(body=await self.handler.state(), content_type=CONTENT_TYPE)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            self._admit(request)
            if self._max_requests is not None and self.in_flight >= self._max_requests:
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the replica has no room")
        except Refusal as refusal:
            return _refuse(refusal)
        self.in_flight += 1
        self._idle.clear()
        try:
            return await self._respond(request)
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await self.handler.read_body(request.content.iter_any())
            messages = self.handler.answer(body)
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
        self.handler.admit(
            request.headers.get("Authorization"), request.headers.get(PROTOCOL_HEADER)
        )
        if self._is_draining:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the replica stops")


def _refuse(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, text=str(refusal))
