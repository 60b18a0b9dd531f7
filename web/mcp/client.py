"""A client of the HTTP API of a running server."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from aiohttp import (
    ClientConnectorCertificateError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
)
from yarl import URL

_MAX_BYTES = 2**25
"""Of a response; a feed's frame or a page of the history has less."""

_TIMEOUT = ClientTimeout(total=120, connect=10)
_ENDLESS = ClientTimeout(total=None, connect=10, sock_read=60)
"""The server sends a heartbeat every few seconds."""

Json = dict[str, Any]
Params = Mapping[str, str | int | None]


class ServerError(RuntimeError):
    """The server cannot be reached or refuses; the message is for the assistant and people."""


class SightlineClient:
    """Requests what a token allows. An asynchronous context manager."""

    def __init__(
        self, url: URL, token: str | None, caption_token: str | None, tls: ssl.SSLContext | None
    ) -> None:
        """Prepare a client.

        Args:
            url: URL of the server, with the path prefix of a reverse proxy, if any.
            token: For all requests but those with an image; None for none.
            caption_token: For requests with an image.
            tls: Trusts the server's certificate; None for that of the system.
        """
        self._url, self._tls = url, tls
        self._token, self._caption_token = token, caption_token
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = ClientSession()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    async def get_json(self, *path: str, **params: str | int | None) -> Json:
        """Get a resource; raises ServerError.

        Args:
            path: The segments of its path; they may contain any characters.
            params: Parameters of the query; None for those that are left out.
        """
        return _parse(await self.get_bytes(*path, **params))

    async def get_bytes(self, *path: str, **params: str | int | None) -> bytes:
        """Get a resource as `get_json` does, as bytes."""
        return await self._send("GET", path, params, self._token, None)

    async def post_image(self, *path: str, image: bytes, **params: str | int | None) -> Json:
        """Send an image file; raises ServerError."""
        return _parse(await self._send("POST", path, params, self._caption_token, image))

    async def captions(self, feed: str) -> AsyncGenerator[Json, None]:
        """Receive the captions of a feed, from the latest one on; raises ServerError."""
        path = ("api", "feeds", feed, "captions.jsonl")
        try:
            async with self._request("GET", path, {}, self._token, timeout=_ENDLESS) as response:
                await _check(response)
                async for line in response.content:
                    if line.strip():
                        yield _parse(line)
        except (ClientError, TimeoutError, ValueError) as error:
            raise ServerError(self._describe(error)) from error

    async def _send(
        self, method: str, path: tuple[str, ...], params: Params, token: str | None, body: Any
    ) -> bytes:
        try:
            async with self._request(method, path, params, token, data=body) as response:
                await _check(response)
                return await _read(response)
        except (ClientError, TimeoutError) as error:
            raise ServerError(self._describe(error)) from error

    def _request(
        self,
        method: str,
        path: tuple[str, ...],
        params: Params,
        token: str | None,
        *,
        timeout: ClientTimeout = _TIMEOUT,
        data: Any = None,
    ) -> Any:
        assert self._session
        segments = "/".join(quote(segment, safe="") for segment in path)
        url = URL(f"{str(self._url).rstrip('/')}/{segments}", encoded=True)
        query = {
            name.rstrip("_"): str(value) for name, value in params.items() if value is not None
        }
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._session.request(
            method,
            url.update_query(query),
            headers=headers,
            data=data,
            timeout=timeout,
            ssl=self._tls if self._tls else True,
            # Nothing here redirects, and the token must not follow.
            allow_redirects=False,
        )

    def _describe(self, error: Exception) -> str:
        where = f"the server at {self._url.origin()}"
        if isinstance(error, ClientConnectorCertificateError):
            return f"the certificate of {where} is not trusted; name it with --certificate"
        if isinstance(error, asyncio.TimeoutError):
            return f"{where} does not answer"
        if isinstance(error, ClientError):
            return f"{where} cannot be reached; is it running?"
        return f"{where} sent something that is not JSON"


async def _check(response: ClientResponse) -> None:
    """Raise the error that the server states, if it states one."""
    if response.status == 200:
        return
    try:
        message = str(_parse(await _read(response))["error"]["message"])
    except (ServerError, LookupError, TypeError):
        message = f"HTTP status {response.status}"
    raise ServerError(f"the server refuses: {message}")


async def _read(response: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        body += chunk
        if len(body) > _MAX_BYTES:
            raise ServerError("the server's response is too large")
    return bytes(body)


def _parse(body: bytes) -> Json:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise ServerError("the server's response is not JSON; is it Sightline?") from error
    if not isinstance(parsed, dict):
        raise ServerError("the server's response is not a JSON object; is it Sightline?")
    return parsed
