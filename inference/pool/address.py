"""One address of a captioner pool: a proxy of Ray Serve, a replica, or a Unix socket."""

import asyncio
import io
import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from inference.engine import EngineInfo, EngineState
from inference.engine.messages import Message, MessageError, read
from inference.explanations import read_progress
from inference.pool.codec import (
    CONTENT_TYPE,
    MAX_ANSWER_BYTES,
    PATH,
    PROTOCOL,
    PROTOCOL_HEADER,
)
from inference.pool.directory import MAX_LISTED, ReplicaAddress
from inference.progress import Progress, ProgressCallback

SILENCE_S = 1.5
"""A replica with a request to answer sends a sign of life twice a second; one that is silent for so
long is lost, as is an address that does not let clients connect."""

_MAX_CONNECTIONS = 256
_MAX_STATE_BYTES = 2**20
_MAX_REASON_BYTES = 500
_UNIX = "unix:"

_UNCERTAIN = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
"""Of a proxy whose replica was lost."""


class AddressError(Exception):
    """There is no answer; another address or replica may have one. The message gives the reason."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """The state of the replica that answered."""

    replica: str
    state: EngineState
    message: str
    accepts: bool
    """Whether a frame can be sent now; while captions are paused, to try whether they work again.
    """
    info: EngineInfo | None
    replicas: tuple[ReplicaAddress, ...]
    """All replicas of the pool that can be reached without a proxy, as far as it knows."""


class Address:
    """An HTTP client for one address; connections are bounded and kept open."""

    in_flight = 0
    """Requests that wait for an answer."""
    _others = 0

    def __init__(self, address: str, secret: str | None, replica: str | None = None) -> None:
        """Create a client; needs a running event loop.

        Args:
            address: `http://HOST:PORT`, `https://HOST`, or `unix:` and the path of a socket.
            secret: What the pool asks for, if anything.
            replica: Name of the replica that listens there; None if any may answer.
        """
        self._replica = replica
        self._idle = asyncio.Event()
        self._idle.set()
        if address.startswith(_UNIX):
            self.name = address
            path = address.removeprefix(_UNIX)
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(path, limit=_MAX_CONNECTIONS)
            self._url = f"http://localhost{PATH}"
        else:
            self.name = urlsplit(address).netloc.rpartition("@")[2]
            connector = aiohttp.TCPConnector(limit=_MAX_CONNECTIONS)
            self._url = address.rstrip("/") + PATH
        headers = {"Content-Type": CONTENT_TYPE, PROTOCOL_HEADER: str(PROTOCOL)}
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=SILENCE_S, sock_connect=SILENCE_S, sock_read=SILENCE_S
            ),
            auto_decompress=False,
        )

    @property
    def is_direct(self) -> bool:
        """Whether it is that of a replica."""
        return self._replica is not None

    @property
    def load(self) -> int:
        """Requests in flight there; of a replica also those of other clients, when last seen."""
        return self.in_flight + self._others

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def close_when_idle(self) -> None:
        """Close all connections once no request waits for an answer."""
        await self._idle.wait()
        await self.close()

    async def state(self) -> PoolState:
        """Ask for the state.

        Raises:
            AddressError: If there is no answer.
        """
        message, _ = await self._exchange(None, None, _MAX_STATE_BYTES)
        self._note_load(message)
        try:
            if self._replica not in (None, message["replica"]):
                raise AddressError("another replica answers")
            return PoolState(
                replica=str(message["replica"]),
                state=EngineState(message["state"]),
                message=str(message["message"]),
                accepts=message["accepts"] is True,
                info=message["info"] and EngineInfo.from_json(message["info"]),
                replicas=tuple(map(ReplicaAddress.from_json, message["replicas"][:MAX_LISTED])),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise _other_version() from problem

    async def request(self, body: bytes, progress: ProgressCallback | None) -> Message:
        """Send a request and return the message that ends its answer; cancelling cancels it.

        Args:
            body: The request.
            progress: Called with its progress.

        Raises:
            AddressError: If there is no answer.
        """
        self.in_flight += 1
        self._idle.clear()
        try:
            answer = await self._exchange(body, progress, MAX_ANSWER_BYTES)
            self._note_load(answer[0])
            return answer
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    def _note_load(self, message: dict[str, Any]) -> None:
        load = message.get("load")
        if self.is_direct and type(load) is int:
            # Its load contains the requests of this client.
            self._others = max(0, load - self.in_flight)

    async def _exchange(
        self, body: bytes | None, progress: ProgressCallback | None, max_bytes: int
    ) -> Message:
        method, data = ("GET", None) if body is None else ("POST", io.BytesIO(body))
        try:
            async with self._session.request(
                method, self._url, data=data, allow_redirects=False
            ) as response:
                await _check(response)
                while True:
                    message, payload = await read(response.content, max_bytes)
                    if message.get("type") not in ("alive", "progress"):
                        return message, payload
                    if progress and message["type"] == "progress":
                        progress(_read_progress(message))
        except MessageError as problem:
            raise _other_version() from problem
        except TimeoutError as problem:
            raise AddressError(f"no answer for {SILENCE_S:g} s") from problem
        except asyncio.IncompleteReadError as problem:
            raise AddressError("the replica stopped") from problem
        except (aiohttp.ClientError, OSError) as problem:
            raise AddressError(_reason(problem)) from problem


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raise an AddressError if this is not an answer of a caption service."""
    if response.status == HTTPStatus.OK and response.content_type == CONTENT_TYPE:
        return
    if response.status == HTTPStatus.OK:
        raise AddressError("another program than a captioner pool answers")
    if response.status in _UNCERTAIN:
        raise AddressError("the replica stopped")
    if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise AddressError("no replica has room")
    if response.status == HTTPStatus.NOT_FOUND:
        raise AddressError("no captioner is deployed")
    reason = (await response.content.read(_MAX_REASON_BYTES)).decode("utf-8", "replace")
    raise AddressError(reason if reason.isprintable() and reason else str(response.status))


def _read_progress(message: dict[str, Any]) -> Progress:
    try:
        return read_progress(message)
    except (KeyError, TypeError, ValueError) as problem:
        raise _other_version() from problem


def _other_version() -> AddressError:
    return AddressError(
        "the pool and this server have different versions; run the same version of Sightline on "
        "all machines"
    )


def _reason(problem: Exception) -> str:
    match problem:
        case aiohttp.ClientConnectorDNSError():
            return "the name of its machine is unknown"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorError() if problem.os_error.errno:
            return f"it cannot be reached: {os.strerror(problem.os_error.errno).lower()}"
        case _:
            return "the connection was closed"
