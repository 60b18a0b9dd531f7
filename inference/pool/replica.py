"""A replica of a captioner pool, which Ray Serve starts, watches and replaces. Needs Ray."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from inference.engine import CaptionService, EngineState, EngineUnavailable
from inference.pool.codec import CONTENT_TYPE, PROTOCOL_HEADER
from inference.pool.directory import LIVE_REPLICAS, ReplicaAddress, loopback_network
from inference.pool.handler import Refusal
from inference.pool.scaling import DIRECT_REQUESTS
from inference.pool.server import CaptionServer

MAX_REQUESTS = 256
"""At a replica through Serve, and as many directly: its engine queues them, and drops those that
are too old."""
_LAST_ANSWERS_S = 0.2
"""For which a replica whose captioner is lost goes on, to answer the requests that failed."""
_DRAIN_S = 5.0
"""For which a replica that is stopped goes on with its requests; Serve kills it after 10 s."""
_ANY_ADDRESS = {"0.0.0.0", "::"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplicaPorts:
    """Where replicas listen, so that clients reach them without a proxy."""

    host: str
    """Address to bind, on each machine."""
    ports: range | None
    """Each replica takes the first that is free; None for any."""


class ReplicaService(CaptionService, Protocol):
    """A caption service that can be started and stopped."""

    def start(self) -> None:
        """Start it."""

    async def stop(self) -> None:
        """Stop it for good."""

    async def wait_loaded(self) -> None:
        """Wait until it is ready; raises EngineUnavailable if it fails instead."""


class CaptionerReplica:
    """Answers requests once its captioner is loaded, and until that is lost."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        create: Callable[[], ReplicaService],
        secret: str | None,
        ports: ReplicaPorts | None,
        *,
        lasts: bool = True,
    ) -> None:
        """Load the captioner; Serve sends no request before that is done.

        Args:
            create: Creates the caption service.
            secret: What clients must present.
            ports: Where to listen; if None, clients reach the replica through proxies only.
            lasts: Whether the service, once it is ready, stays so until it is lost. An endpoint
                does not: captions by it pause, and go on.

        Raises:
            EngineUnavailable: If it cannot be loaded.
        """
        self._service = create()
        self._service.start()
        try:
            await self._service.wait_loaded()
        except EngineUnavailable:
            await self._service.stop()
            raise
        context = serve.get_replica_context()
        self._name = context.replica_id.unique_id
        self._server = CaptionServer(
            self._service,
            replica=self._name,
            secret=secret,
            replicas=LIVE_REPLICAS.list,
            max_requests=MAX_REQUESTS,
        )
        self._handler = self._server.handler
        self._address = await self._listen(ports) if ports else None
        # A handle follows the live replicas once it has options; see `CaptionerRouter`.
        self._replicas = serve.get_deployment_handle(context.deployment).options(stream=True)
        self._unsubscribe = self._service.subscribe(self._end_if_lost) if lasts else None

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        headers = request.headers
        try:
            self._handler.admit(headers.get("Authorization"), headers.get(PROTOCOL_HEADER))
            if request.method == "GET":
                return Response(await self._handler.state(), media_type=CONTENT_TYPE)
            return _Stream(self._handler.answer(await self._handler.read_body(request.stream())))
        except Refusal as refusal:
            return Response(str(refusal), refusal.status)

    async def record_replica_metadata(self) -> dict[str, Any]:
        """Return the address of the replica, if it has one, for all others; Serve calls it once."""
        return self._address.to_json() if self._address else {}

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the requests in flight that Serve does not know of; Serve calls it."""
        return {DIRECT_REQUESTS: float(self._server.in_flight)}

    async def __del__(self) -> None:
        """Stop the captioner; Serve awaits it when the replica is stopped."""
        if self._unsubscribe:
            self._unsubscribe()
        await self._server.drain(_DRAIN_S)
        await self._server.close()
        await self._service.stop()

    async def _listen(self, where: ReplicaPorts) -> ReplicaAddress | None:
        try:
            port = await self._server.listen(where.host, where.ports or (0,))
        except OSError as problem:
            # It can be reached through the proxies.
            logger.warning("the replica has no port of its own: %s", problem)
            return None
        host = where.host
        if host in _ANY_ADDRESS:
            host = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return ReplicaAddress(self._name, host, port, loopback_network())

    def _end_if_lost(self) -> None:
        """End the process of a replica without a captioner, so that Serve starts another.

        A replica that only refuses requests would get most of them: it always has room.
        """
        if self._service.state is not EngineState.READY:
            asyncio.get_running_loop().call_later(_LAST_ANSWERS_S, os._exit, 1)


class _Stream(Response):
    """An answer of several messages; its request is cancelled when the client has gone."""

    media_type = CONTENT_TYPE

    def __init__(self, messages: AsyncGenerator[bytes, None]) -> None:
        super().__init__()
        self._messages = messages
        # Its length is unknown.
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        async with contextlib.aclosing(self._messages):
            async for message in self._messages:
                # Not before there is a message, so that they are sent together.
                if not started:
                    await send(
                        {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                    )
                    started = True
                await send({"type": "http.response.body", "body": message, "more_body": True})
            await send({"type": "http.response.body"})
