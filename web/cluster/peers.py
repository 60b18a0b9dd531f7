"""Requests to the other servers of the cluster, and clients that are sent there."""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from stream.captioning import FrameNotFound
from stream.publishing import RemoteStream
from stream.rate_limit import RateLimit
from web.errors import ERROR, error_response
from web.keys import CLUSTER
from web.security import ROLE, TICKET_PARAMETER, Role, Tickets

_TIMEOUT = aiohttp.ClientTimeout(total=5, connect=2)
_MAX_BYTES = 50_000_000
_CHUNK_BYTES = 65_536
_RETRY_S = 1
_SEARCHES_PER_S, _SEARCHES_BURST = 20, 100

_SESSION_PATHS = (
    "/whip/{name}/{session}",
    "/whep/{name}/{session}",
    "/streams/{stream}/pictures/{seq}",
    "/analyses/{token}",
    "/analyses/{token}/{name}",
)
"""Routes of what one server has, whichever the load balancer asks."""

_REQUEST_HEADERS = ("Accept", "Content-Type", "If-Match")
_RESPONSE_HEADERS = (
    *("Accept-Patch", "Cache-Control", "Content-Security-Policy", "Content-Type"),
    *("Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "ETag", "Retry-After"),
)

logger = logging.getLogger(__name__)


class PeerUnavailable(Exception):
    """Another server does not answer, or with too much."""


class Peers:
    """An HTTP client for the other servers, which it convinces by tickets; an async context."""

    def __init__(self, tickets: Tickets) -> None:
        """Prepare a client."""
        self._tickets = tickets
        self._client: aiohttp.ClientSession | None = None
        self._searches = RateLimit(_SEARCHES_PER_S, burst=_SEARCHES_BURST)

    async def __aenter__(self) -> "Peers":
        # No proxy from the environment, and no cookies are kept.
        jar = aiohttp.DummyCookieJar()
        self._client = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=jar)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client
        await self._client.close()

    def url(self, server: str, role: Role, path: str, query: Mapping[str, str]) -> str | None:
        """Return the URL of a path at another server, with a ticket; None if that is impossible.

        Args:
            server: The other server's URL; empty if it has none.
            role: What the client may do there.
            path: The path, without a prefix that a reverse proxy adds.
            query: Further parameters.
        """
        ticket = self._tickets.issue(role, path)
        if not server or ticket is None:
            return None
        return f"{server}{path}?{urlencode({**query, TICKET_PARAMETER: ticket})}"

    async def read_picture(self, stream: RemoteStream) -> bytes:
        """Read the frame of a feed's latest caption from the server that captions it.

        Raises:
            FrameNotFound: If that server cannot be reached, or has none.
        """
        url = self.url(stream.url, Role.VIEWER, f"/api/feeds/{stream.name}/picture", {})
        if url is None:
            raise FrameNotFound("the feed's server cannot be reached")
        try:
            status, body, _ = await self._request("GET", url)
        except PeerUnavailable as problem:
            raise FrameNotFound(str(problem)) from problem
        if status != HTTPStatus.OK:
            raise FrameNotFound("the feed's server has no picture now")
        return body

    async def search(self, request: web.Request, servers: list[str]) -> web.Response | None:
        """Send a request to all other servers; return the response of the one that can serve it."""
        if not self._searches.take():
            return None
        role, body = request[ROLE] or Role.VIEWER, await request.read()
        headers = {
            name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers
        }
        urls = [self.url(each, role, request.path, dict(request.query)) for each in servers]
        found = await asyncio.gather(
            *(self._request(request.method, url, body, headers) for url in urls if url),
            return_exceptions=True,
        )
        for each in found:
            if isinstance(each, tuple) and each[0] != HTTPStatus.NOT_FOUND:
                status, text, theirs = each
                kept = {name: theirs[name] for name in _RESPONSE_HEADERS if name in theirs}
                return web.Response(status=status, body=text, headers=kept)
        return None

    async def _request(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Return status, body and headers of a response.

        Raises:
            PeerUnavailable: If there is none.
        """
        assert self._client
        try:
            async with self._client.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                received = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    received += chunk
                    if len(received) > _MAX_BYTES:
                        raise PeerUnavailable("the other server sends too much")
                return response.status, bytes(received), response.headers
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            # Without its message, which may repeat the ticket.
            about = f"the other server does not answer ({type(problem).__name__})"
            raise PeerUnavailable(about) from problem


PEERS = web.AppKey("peers", Peers)
"""Absent unless the server belongs to a cluster."""


def elsewhere_response(request: web.Request, stream: RemoteStream) -> web.Response:
    """Send a client to the server that captions a stream.

    A client that has been sent here already has to wait: the stream is moving.
    """
    peers, role = request.app.get(PEERS), request[ROLE] or Role.VIEWER
    if peers and TICKET_PARAMETER not in request.query:
        url = peers.url(stream.url, role, request.path, dict(request.query))
        if url:
            headers = {"Location": url, "Cache-Control": "no-store"}
            return web.Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)
    message = "no server captions this feed at the moment, or it cannot be reached; try again"
    return error_response(503, "feed-moving", message, {"Retry-After": str(_RETRY_S)})


@web.middleware
async def peer_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve what another server has: sessions and analyses, of which this one knows nothing."""
    response = await handler(request)
    peers, resource = request.app.get(PEERS), request.match_info.route.resource
    if (
        peers is None
        or response.status != HTTPStatus.NOT_FOUND
        or ERROR not in response
        or TICKET_PARAMETER in request.query
        or resource is None
        or resource.canonical not in _SESSION_PATHS
    ):
        return response
    servers = list(request.app[CLUSTER].urls)
    return (await peers.search(request, servers)) or response


def peer_origins(app: web.Application) -> list[str]:
    """Return the origins of the cluster's servers, to which the page may be sent."""
    if CLUSTER not in app:
        return []
    urls = {app[CLUSTER].own_url, *app[CLUSTER].urls} - {""}
    return sorted("/".join(url.split("/")[:3]) for url in urls)
